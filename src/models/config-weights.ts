// Lists the weights that a config asks for, and matches them with a checkpoint's tensors: names, shapes and dtypes, from headers alone.
// Names are those of MistralForCausalLM ("model.layers.0…", "lm_head.weight"); a checkpoint saved from the bare MistralModel has
// them without "model.", and is matched too. With tied weights either of the two tied tensors may be missing.
// Knows no files: a table of names, shapes and dtypes comes in.

import { nearest } from "../did-you-mean.ts";
import { CheckpointError } from "../errors.ts";
import type { MistralConfig } from "./config.ts";
import { headOf, type ModelClass } from "./heads.ts";

/** What this file needs of a checkpoint; `WeightSource` has it. */
export type WeightTable = {
  readonly dir: string;
  readonly tensors: ReadonlyMap<
    string,
    {
      readonly name: string;
      readonly dtype: string;
      readonly shape: readonly number[];
      /** Whether it consists of packed tensors; its dtype is then the word of its method. */
      readonly quantised?: boolean;
    }
  >;
};

const READABLE: ReadonlySet<string> = new Set(["F32", "F16", "BF16"]);

/** What `output_loading_info` returns; weights have the names of the model class. */
export type LoadingInfo = {
  missing_keys: string[];
  unexpected_keys: string[];
  mismatched_keys: { key: string; checkpoint: readonly number[]; model: readonly number[] }[];
  error_msgs: string[];
};

export type WeightMatch = {
  /** Weight of the model → its name in the checkpoint. */
  names: Map<string, string>;
  info: LoadingInfo;
  /** Whether both tied tensors are stored. Transformers does not tie them if their bytes differ. */
  bothTiedStored: boolean;
};

const PREFIX = "model.";
const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

type Sizes = Pick<
  MistralConfig,
  | "vocab_size"
  | "hidden_size"
  | "intermediate_size"
  | "num_hidden_layers"
  | "num_attention_heads"
  | "num_key_value_heads"
  | "head_dim"
  | "tie_word_embeddings"
  | "num_labels"
>;

/** Name → shape of every weight that a model of that class has, in the order of its layers. */
export function expectedWeights(c: Sizes, kind: ModelClass): Map<string, number[]> {
  const [V, H, F, D] = [c.vocab_size, c.hidden_size, c.intermediate_size, c.head_dim];
  const [q, kv] = [c.num_attention_heads * D, c.num_key_value_heads * D];
  const out = new Map<string, number[]>([[EMBEDDING, [V, H]]]);
  for (let i = 0; i < c.num_hidden_layers; i++) {
    const layer = (name: string, ...shape: number[]): unknown =>
      out.set(`model.layers.${i}.${name}.weight`, shape);
    layer("input_layernorm", H);
    layer("self_attn.q_proj", q, H);
    layer("self_attn.k_proj", kv, H);
    layer("self_attn.v_proj", kv, H);
    layer("self_attn.o_proj", H, q);
    layer("post_attention_layernorm", H);
    layer("mlp.gate_proj", F, H);
    layer("mlp.up_proj", F, H);
    layer("mlp.down_proj", H, F);
  }
  out.set("model.norm.weight", [H]);
  const head = headOf(kind, c);
  if (head !== undefined) out.set(`${head.module}.weight`, [head.width, H]); // if tied, the embedding again
  if (head?.bias) out.set(`${head.module}.bias`, [head.width]);
  return out;
}

/**
 * How many numbers the weights of such a model have, tied ones counted once. Takes no longer for many layers.
 * @param withEmbedding whether the embedding's count
 */
export function countParameters(
  config: Sizes,
  kind: ModelClass = "MistralForCausalLM",
  withEmbedding = true,
): number {
  const withLayers = (num_hidden_layers: number): number => {
    const sizes = { ...config, num_labels: config.num_labels, num_hidden_layers }; // num_labels is a getter
    return [...expectedWeights(sizes, kind)]
      .filter(([name]) => withEmbedding || name !== EMBEDDING)
      .reduce((sum, [, shape]) => sum + shape.reduce((product, size) => product * size, 1), 0);
  };
  const outside = withLayers(0);
  return outside + config.num_hidden_layers * (withLayers(1) - outside);
}

/**
 * Tells of a tensor's name whether it is a weight of the model or belongs to one, as the packed tensors of a quantised weight do
 * ("model.layers.0.mlp.up_proj.qweight").
 */
export function partOfModel(config: Sizes, kind: ModelClass): (name: string) => boolean {
  const weights = [...expectedWeights(config, kind).keys(), EMBEDDING];
  if (kind === "MistralForCausalLM") weights.push(HEAD);
  const modules = new Set(
    weights
      .map((name) => name.slice(0, name.lastIndexOf(".")))
      .flatMap((module) =>
        module.startsWith(PREFIX) ? [module, module.slice(PREFIX.length)] : [module],
      ),
  );
  return (name) => {
    for (let end = name.lastIndexOf("."); end > 0; end = name.lastIndexOf(".", end - 1))
      if (modules.has(name.slice(0, end))) return true;
    return false;
  };
}

/** Finds each weight of the model in the checkpoint. Only reports what is missing or differs. */
export function matchWeights(
  config: MistralConfig,
  checkpoint: WeightTable,
  kind: ModelClass,
): WeightMatch {
  const { tensors } = checkpoint;
  const tied = config.tie_word_embeddings && kind === "MistralForCausalLM";
  const info: LoadingInfo = {
    missing_keys: [],
    unexpected_keys: [],
    mismatched_keys: [],
    error_msgs: [],
  };
  const names = new Map<string, string>();
  const stored = (name: string): string | undefined => {
    if (tensors.has(name)) return name;
    const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
    return tensors.has(bare) ? bare : undefined;
  };

  for (const [name, shape] of expectedWeights(config, kind)) {
    const found = stored(name) ?? (tied && name === EMBEDDING ? stored(HEAD) : undefined);
    const entry = found === undefined ? undefined : tensors.get(found);
    if (entry === undefined) info.missing_keys.push(name);
    else if (
      entry.shape.length !== shape.length ||
      entry.shape.some((size, i) => size !== shape[i])
    ) {
      info.mismatched_keys.push({ key: name, checkpoint: entry.shape, model: shape });
    } else names.set(name, entry.name);
  }

  const used = new Set([...names.values(), ...info.mismatched_keys.map(({ key }) => stored(key))]);
  if (tied) used.add(HEAD);
  for (const name of tensors.keys()) {
    // Old checkpoints store the rotary frequencies of each layer; they follow from the config.
    if (!used.has(name) && !name.endsWith("rotary_emb.inv_freq")) info.unexpected_keys.push(name);
  }
  return {
    names,
    info,
    bothTiedStored: tied && tensors.has(HEAD) && stored(EMBEDDING) !== undefined,
  };
}

/**
 * Matches, and refuses a checkpoint that does not hold the whole model: a weight is missing, has another shape than the config says, or
 * a dtype that is not read. Unexpected tensors are only reported, as in Transformers.
 *
 * @throws CheckpointError naming the tensor, both shapes, and the field of config.json that disagrees
 */
export function checkWeights(
  config: MistralConfig,
  checkpoint: WeightTable,
  kind: ModelClass = "MistralForCausalLM",
): WeightMatch {
  const match = matchWeights(config, checkpoint, kind);
  const { missing_keys: missing, mismatched_keys: mismatched } = match.info;
  const other = otherClass(config, checkpoint, match.info, kind);
  if (other !== undefined) {
    throw new CheckpointError(
      `${checkpoint.dir}: config.json says that this is a ${other}, which has no ${HEAD}, so that it is no ${kind}; ` +
        `load it with ${other}.from_pretrained or ${other.replace(/^Mistral(Model)?/, "AutoModel")}.from_pretrained`,
    );
  }
  const unread = [...match.names].find(([, storedName]) => {
    const { dtype = "", quantised } = checkpoint.tensors.get(storedName) ?? {};
    return !quantised && !READABLE.has(dtype);
  });
  const isWrong = missing.length > 0 || mismatched.length > 0 || unread !== undefined;
  const packed = isWrong ? unexplainedPart(config, checkpoint) : undefined;
  if (packed !== undefined) {
    throw new CheckpointError(
      `${checkpoint.dir}: ${JSON.stringify(packed.slice(0, 80))} is part of a quantised weight, but config.json has no quantization_config, ` +
        "which says how it is packed; take the config.json of these weights' publisher",
    );
  }
  if (mismatched.length > 0) {
    const { key, checkpoint: got, model } = mismatched[0];
    throw new CheckpointError(
      `${checkpoint.dir}: ${key} has shape [${got.join(", ")}], but config.json asks for [${model.join(", ")}]${disagreement(key, config)}` +
        `${more(mismatched.length, "shapes disagree")}; is config.json the one of these weights? (ignore_mismatched_sizes: true draws new weights in their place)`,
    );
  }
  if (missing.length > 0) {
    const meant = nearest(missing[0], match.info.unexpected_keys);
    const hint = meant === undefined ? "" : ` (there is ${JSON.stringify(meant.slice(0, 80))})`;
    throw new CheckpointError(
      `${checkpoint.dir}: the weights hold no ${missing[0]}${hint}, which a ${kind} of ${config.num_hidden_layers} layers needs` +
        `${more(missing.length, "weights are missing")}; is the checkpoint complete, and num_hidden_layers right?`,
    );
  }
  if (unread !== undefined) {
    const [name, storedName] = unread;
    throw new CheckpointError(
      `${checkpoint.dir}: ${name} has dtype ${checkpoint.tensors.get(storedName)?.dtype}, expected ${[...READABLE].join(", ")}; ` +
        "save the model again in one of these (if it is quantised, config.json lacks its quantization_config)",
    );
  }
  return match;
}

/** The class of a folder that was opened as a language model, but holds another head or none; undefined if it holds a language model. */
function otherClass(
  { architectures }: MistralConfig,
  { tensors }: WeightTable,
  { missing_keys }: LoadingInfo,
  kind: ModelClass,
): string | undefined {
  if (kind !== "MistralForCausalLM" || architectures?.includes(kind)) return undefined;
  // A tied language model takes its head from the embedding, which all classes have.
  const hasOtherHead = tensors.has("score.weight") || tensors.has("qa_outputs.weight");
  const lacksHead = missing_keys.length === 1 && missing_keys[0] === HEAD;
  return lacksHead || hasOtherHead ? architectures?.find((name) => isClass(name)) : undefined;
}

/** What methods of quantisation add to the name of a weight or its layer. */
const PACKED =
  /\.(qweight|qzeros|weight_packed|weight_scale|SCB|absmax|quant_map|quant_state\..+)$/;

/** A tensor that belongs to a quantised weight, though the config speaks of no quantisation. */
function unexplainedPart(config: MistralConfig, { tensors }: WeightTable): string | undefined {
  const { quantization_config } = config as { quantization_config?: unknown };
  if (quantization_config != null) return undefined;
  return [...tensors.keys()].find((name) => PACKED.test(name));
}

const isClass = (name: string): boolean => /^Mistral(Model$|For)/.test(name);

function more(count: number, what: string): string {
  return count === 1 ? "" : ` (${count} ${what} in all)`;
}

/** The fields of config.json from which a weight's shape follows. */
function disagreement(key: string, c: MistralConfig): string {
  const heads = (count: number): string =>
    `${count} heads × head_dim ${c.head_dim}, hidden_size ${c.hidden_size}`;
  if (key === EMBEDDING || key === HEAD)
    return ` (vocab_size ${c.vocab_size}, hidden_size ${c.hidden_size})`;
  if (/\.[qo]_proj\./.test(key)) return ` (${heads(c.num_attention_heads)})`;
  if (/\.[kv]_proj\./.test(key)) return ` (${heads(c.num_key_value_heads)})`;
  if (key.includes(".mlp."))
    return ` (intermediate_size ${c.intermediate_size}, hidden_size ${c.hidden_size})`;
  if (/^(score|qa_outputs)\./.test(key))
    return ` (num_labels ${c.num_labels}, hidden_size ${c.hidden_size})`;
  return ` (hidden_size ${c.hidden_size})`;
}
