// config.json as an object: every field of Transformers' MistralConfig (5.23) with its default. Older names of fields are understood,
// and unknown keys are kept: to_dict() gives back what a file said. Nothing is checked here; config-check.ts does it before anything
// is allocated. Knows no files and no weights.

import { CheckpointError, InputError } from "../errors.ts";
import { generationDefaults } from "./config-generation.ts";
import {
  ConfigFields,
  type MistralConfigOptions,
  type ProblemType,
  type RopeParameters,
} from "./config-options.ts";

export type { MistralConfigOptions, ProblemType } from "./config-options.ts";

const MAX_LABELS = 100_000;

/** The version of Transformers that this config follows. Written into the file of a config that names none. */
const TRANSFORMERS_VERSION = "5.23.0";

/** Settings of a Mistral model. Fields can be assigned; they are checked when a model is built. */
export class MistralConfig extends ConfigFields {
  override vocab_size = 32000;
  override hidden_size = 4096;
  override intermediate_size = 14336;
  override num_hidden_layers = 32;
  override num_attention_heads = 32;
  override num_key_value_heads = 8;
  override head_dim: number;
  override hidden_act = "silu";
  override max_position_embeddings = 131072;
  override initializer_range = 0.02;
  override rms_norm_eps = 1e-6;
  override use_cache = true;
  override pad_token_id: number | null = null;
  override bos_token_id: number | null = 1;
  override eos_token_id: number | number[] | null = 2;
  override tie_word_embeddings = false;
  override rope_parameters: RopeParameters;
  override sliding_window: number | null = 4096;
  override attention_dropout = 0;

  override architectures: string[] | null = null;
  override dtype: string | null = null;
  override output_hidden_states = false;
  override output_attentions = false;
  override return_dict = true;
  override chunk_size_feed_forward = 0;
  override is_encoder_decoder = false;
  override id2label: Record<number, string> = { 0: "LABEL_0", 1: "LABEL_1" };
  override label2id: Record<string, number> = { LABEL_0: 0, LABEL_1: 1 };
  override problem_type: ProblemType | null = null;
  override transformers_version: string = TRANSFORMERS_VERSION;
  override name_or_path = "";
  override attn_implementation: string | null = null;

  // Keys of a file that must not become fields, because they would hide a method or set a prototype: "to_dict", "__proto__".
  readonly #shadowed = new Map<string, unknown>();

  /** @param options any field of config.json; unknown ones are kept as they are and written back */
  constructor(options: MistralConfigOptions = {}) {
    super();
    const given = new Map<string, unknown>(Object.entries(structuredClone(options)));
    const take = (key: string): unknown => {
      const value = given.get(key);
      given.delete(key);
      return value;
    };
    for (const key of DROPPED) given.delete(key);
    const rope = {
      scaling: take("rope_scaling"),
      parameters: take("rope_parameters"),
      theta: take("rope_theta"),
    };
    const headDim = take("head_dim") as number | null | undefined;
    const torchDtype = take("torch_dtype");
    const numLabels = take("num_labels") as number | undefined;

    for (const [key, value] of given) {
      if (value === undefined || (value === null && NEVER_NULL.has(key))) continue;
      this.#set(key, value);
    }
    if (given.get("num_key_value_heads") === null)
      this.num_key_value_heads = this.num_attention_heads;
    this.head_dim = headDim ?? headDimOf(this);
    this.dtype ??= (torchDtype as string | null | undefined) ?? null;
    if (typeof this.dtype === "string") this.dtype = this.dtype.replace(/^torch\./, "");
    this.rope_parameters = ropeParameters(rope, this);
    if (numLabels != null && given.get("id2label") == null) this.num_labels = numLabels;
  }

  get model_type(): "mistral" {
    return "mistral";
  }

  /**
   * N, the number of labels, which is the number of a classification head's outputs. Assigning another number names them LABEL_0 …
   * @throws InputError (CheckpointError if the config is from a file) above 100,000, because the names are made at once
   */
  get num_labels(): number {
    return Object.keys(this.id2label).length;
  }

  set num_labels(count: number) {
    if (count === this.num_labels) return;
    if (!(Number.isInteger(count) && count >= 1 && count <= MAX_LABELS)) {
      const text = `num_labels is ${JSON.stringify(count)}, expected a whole number from 1 to ${MAX_LABELS}`;
      if (this.name_or_path === "") throw new InputError(`MistralConfig: ${text}`);
      throw new CheckpointError(`${this.name_or_path}: config.json: ${text}`);
    }
    const names = Array.from({ length: count }, (_, i) => `LABEL_${i}`);
    this.id2label = { ...names };
    this.label2id = Object.fromEntries(names.map((name, i) => [name, i]));
  }

  /** Every field, unknown ones included, as plain data. */
  to_dict(): Record<string, unknown> {
    const { name_or_path: _name_or_path, attn_implementation: _chosen, ...fields } = this;
    const out: Record<string, unknown> = Object.assign(
      Object.create(null),
      structuredClone({ ...fields }),
    );
    for (const [key, value] of this.#shadowed) out[key] = structuredClone(value);
    return Object.assign(out, { _name_or_path, model_type: this.model_type });
  }

  /** to_dict() without the general settings that have their default: what belongs into a file. */
  to_diff_dict(): Record<string, unknown> {
    const { _name_or_path: _, ...out } = this.to_dict();
    const defaults = new MistralConfig().to_dict();
    for (const key of GENERAL) {
      if (JSON.stringify(out[key]) === JSON.stringify(defaults[key])) delete out[key];
    }
    return out;
  }

  /** The text of config.json: keys sorted, two spaces. @param use_diff whether to leave out general settings that have their default */
  to_json_string(use_diff = true): string {
    const text = JSON.stringify(
      sorted(use_diff ? this.to_diff_dict() : this.to_dict()),
      undefined,
      2,
    );
    return `${pythonFloats(text)}\n`;
  }

  #set(key: string, value: unknown): void {
    if (!Object.hasOwn(this, key) && (key in this || key === "num_labels"))
      this.#shadowed.set(key, value);
    else
      Object.defineProperty(this, key, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
  }
}

// Keys that do not become fields: model_type, which the class says; notes of Transformers; generation settings, which belong into
// generation_config.json.
const DROPPED: ReadonlySet<string> = new Set(
  ["model_type", "_name_or_path", "_commit_hash", ...Object.keys(generationDefaults)].filter(
    (key) => key !== "use_cache",
  ),
);

// Fields whose null in a file means "not given".
const NEVER_NULL: ReadonlySet<string> = new Set(
  "num_key_value_heads id2label label2id transformers_version name_or_path output_hidden_states output_attentions return_dict".split(
    " ",
  ),
);

// Settings of every model class (Transformers' PreTrainedConfig). A file has them only if they differ from the default.
const GENERAL: readonly string[] =
  "architectures dtype output_hidden_states output_attentions return_dict chunk_size_feed_forward is_encoder_decoder id2label label2id problem_type".split(
    " ",
  );

function ropeParameters(
  given: { scaling: unknown; parameters: unknown; theta: unknown },
  config: { max_position_embeddings: number },
): RopeParameters {
  const from = (given.scaling || given.parameters || {}) as Partial<RopeParameters>;
  if (typeof from !== "object" || Array.isArray(from)) return from as RopeParameters; // checkConfig refuses it
  const parameters: RopeParameters = {
    ...from,
    rope_type: from.rope_type ?? (from.type as string | undefined) ?? "default",
    rope_theta: from.rope_theta ?? (given.theta as number | undefined) ?? 10000,
  };
  if (["llama3", "yarn", "longrope"].includes(parameters.rope_type)) {
    const extra = config as { original_max_position_embeddings?: unknown };
    parameters.original_max_position_embeddings =
      extra.original_max_position_embeddings ??
      parameters.original_max_position_embeddings ??
      config.max_position_embeddings;
  }
  return parameters;
}

const FLOATS =
  "rope_theta rms_norm_eps initializer_range attention_dropout llm_int8_threshold".split(" ");
const INTEGER_FLOATS = new RegExp(`^( *"(?:${FLOATS.join("|")})": -?[0-9]+)(,?)$`, "gm");

/** Writes 1 as 1.0 in fields that are floats: Python would read an int, which Transformers refuses there. */
export function pythonFloats(text: string): string {
  return text.replace(INTEGER_FLOATS, "$1.0$2");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value === "number" && !Number.isFinite(value))
    return { __float__: Number.isNaN(value) ? "NaN" : `${value}` };
  if (typeof value !== "object" || value === null) return value;
  const out: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value).toSorted())
    out[key] = sorted((value as Record<string, unknown>)[key]);
  return out;
}

/** What head_dim is when nobody says it. NaN for sizes that are no numbers: checkConfig names the size that is wrong. */
function headDimOf({ hidden_size, num_attention_heads }: MistralConfig): number {
  const isNumber = typeof hidden_size === "number" && typeof num_attention_heads === "number";
  return isNumber ? Math.floor(hidden_size / num_attention_heads) : NaN;
}
