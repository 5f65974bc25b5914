// The model classes: MistralModel (hidden states) and MistralForCausalLM (logits, generation). They check and reshape inputs and
// outputs; an engine behind them computes. Knows no backend.

import { InputError } from "../errors.ts";
import type { ForwardRequest, ForwardResult, MemoryReport } from "../engine/messages.ts";
import type { Engine } from "../engine/supervisor.ts";
import type { GenerationConfig } from "../generate/generation-config.ts";
import type { MistralConfig } from "../models/config.ts";
import { DynamicCache } from "./cache.ts";
import { Callable } from "./callable.ts";
import { type GenerateInputs, type GenerateOptions, generate } from "./generate.ts";
import { type Batch, checkInputs, readBatch, readGrid, readKeep, readMask } from "./inputs.ts";
import type {
  BaseModelOutputWithPast,
  CausalLMOutputWithPast,
  GenerateDecoderOnlyOutput,
} from "./outputs.ts";
import { type NestedInput, Tensor } from "./tensor.ts";

/** Inputs of `forward`. B batch, S new tokens, T = columns of `past_key_values` + S, H hidden. */
export type ForwardInputs = {
  /** [B, S]; exactly one of this and `inputs_embeds` */
  input_ids?: NestedInput;
  /** [B, T]: 1 token, 0 padding. Default: all 1 */
  attention_mask?: NestedInput;
  /** [B, S] or [1, S]. Default: counted from 0 over all columns, padding included */
  position_ids?: NestedInput;
  /** [B, S, H] */
  inputs_embeds?: NestedInput;
  /** The cache that an earlier call returned; this call adds to it. */
  past_key_values?: DynamicCache;
  /** Whether to return `past_key_values`. Default: the config's `use_cache`; false if `labels` are given */
  use_cache?: boolean;
  /** Default: the config's */
  output_hidden_states?: boolean;
  /** Needs `attn_implementation: "eager"`. Default: the config's */
  output_attentions?: boolean;
  /** Accepted, and changes nothing: the result is always an object. */
  return_dict?: boolean;
  /** Stops within one op; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
};

export type CausalLMInputs = ForwardInputs & {
  /** [B, S]: token ids, or −100 to ignore a place. They are shifted inside: the logits of column s are judged by label s + 1 */
  labels?: NestedInput;
  /** 0 (the default): logits of all columns; n: of the last n columns; or indices of columns */
  logits_to_keep?: NestedInput;
  /** The summed loss is divided by this number. Default: the number of labels that are not ignored */
  num_items_in_batch?: number;
};

/** For the library: what a model object is made from. */
export type Loaded = {
  engine: Engine;
  config: MistralConfig;
  generation_config: GenerationConfig;
  device: string;
  dtype: string;
  attention: "flash" | "eager";
};

const MAX_POSITION = 2 ** 31 - 1;
const modelKeys: readonly (keyof ForwardInputs)[] = [
  ...(["input_ids", "attention_mask", "position_ids", "inputs_embeds"] as const),
  ...(["past_key_values", "use_cache", "output_hidden_states", "output_attentions"] as const),
  ...(["return_dict", "signal"] as const),
];
const baseKeys: ReadonlySet<string> = new Set(modelKeys);
const causalKeys: ReadonlySet<string> = new Set([
  ...modelKeys,
  "labels",
  "logits_to_keep",
  "num_items_in_batch",
]);

/** What all models share. */
abstract class PreTrainedModel<Inputs extends ForwardInputs, Output> extends Callable<
  [Inputs],
  Promise<Output>
> {
  readonly config: MistralConfig;
  readonly generation_config: GenerationConfig;
  /** Where it computes: "cpu", or "reference" (plain loops in float64). */
  readonly device: string;
  /** How the weights are kept: "float32", "bfloat16", "float16". */
  readonly dtype: string;
  protected readonly engine: Engine;
  readonly #attention: "flash" | "eager";

  constructor({ engine, config, generation_config, device, dtype, attention }: Loaded) {
    super();
    this.engine = engine;
    this.config = config;
    this.generation_config = generation_config;
    this.device = device;
    this.dtype = dtype;
    this.#attention = attention;
  }

  /** The same as calling the model. */
  abstract forward(inputs: Inputs): Promise<Output>;

  override _call(inputs: Inputs): Promise<Output> {
    return this.forward(inputs);
  }

  /** How many bytes the engine holds, and how many pages its cache has. */
  memory(): Promise<MemoryReport> {
    return this.engine.call("memory", {});
  }

  /** Ends the engine's threads and releases all memory. May be called twice. */
  async dispose(): Promise<void> {
    await this.engine.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Checks the inputs that all models take, runs the engine, and shapes the outputs that all models have. */
  protected async run(
    inputs: ForwardInputs,
    batch: Batch,
    request: Pick<ForwardRequest, "keep" | "labels" | "numItems">,
    wants: { logits: boolean; last: boolean },
  ): Promise<{ result: ForwardResult; shared: Shared }> {
    const { B, S } = batch;
    const past = DynamicCache.read(inputs.past_key_values, this.engine);
    const T = (past?.get_seq_length() ?? 0) + S;
    const attentions = inputs.output_attentions ?? this.config.output_attentions;
    const hidden = inputs.output_hidden_states ?? this.config.output_hidden_states;
    if (attentions && this.#attention !== "eager") {
      throw new InputError(
        'forward: output_attentions needs the matrix of probabilities; load the model with attn_implementation: "eager"',
      );
    }
    if (past !== undefined && past.batch_size > 0 && past.batch_size !== B) {
      throw new InputError(`forward: ${B} rows came, past_key_values has ${past.batch_size}`);
    }
    const result = await this.engine.call(
      "forward",
      {
        ...batch,
        ...request,
        mask: readMask("forward", inputs.attention_mask, B, T),
        positions: readGrid("forward", "position_ids", inputs.position_ids, batch, [
          0,
          MAX_POSITION,
        ]),
        ...DynamicCache.request(
          past,
          inputs.use_cache ?? (request.labels === undefined && this.config.use_cache),
        ),
        wants: { ...wants, hidden, attentions },
      },
      { signal: inputs.signal ?? undefined },
    );
    return { result, shared: this.#shared(result, past, batch, T) };
  }

  #shared(
    result: ForwardResult,
    past: DynamicCache | undefined,
    { B, S }: Batch,
    T: number,
  ): Shared {
    const { hidden_size: H, num_attention_heads: Hq } = this.config;
    const { cache } = result;
    return {
      ...(cache && {
        past_key_values: past
          ? DynamicCache.update(past, this.engine, cache)
          : DynamicCache.of(this.engine, cache),
      }),
      ...(result.hidden && {
        hidden_states: result.hidden.map((x) => new Tensor("float32", x, [B, S, H])),
      }),
      ...(result.attentions && {
        attentions: result.attentions.map((x) => new Tensor("float32", x, [B, Hq, S, T])),
      }),
    };
  }
}

type Shared = Pick<BaseModelOutputWithPast, "past_key_values" | "hidden_states" | "attentions">;

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralModel {
  (inputs: ForwardInputs): Promise<BaseModelOutputWithPast>;
}

/** The decoder without a head: `await model({ input_ids })` gives hidden states. */
export class MistralModel extends PreTrainedModel<ForwardInputs, BaseModelOutputWithPast> {
  /**
   * Runs the decoder once over all tokens of `inputs`.
   * @throws InputError wrong shapes, ids outside the vocabulary, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: ForwardInputs): Promise<BaseModelOutputWithPast> {
    checkInputs("forward", inputs, baseKeys);
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, this.config);
    const keep = new Int32Array(0);
    const { result, shared } = await this.run(
      inputs,
      batch,
      { keep },
      { logits: false, last: true },
    );
    const dims = [batch.B, batch.S, this.config.hidden_size];
    const last_hidden_state = new Tensor("float32", result.last ?? new Float32Array(), dims);
    return { last_hidden_state, ...shared };
  }
}

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralForCausalLM {
  (inputs: CausalLMInputs): Promise<CausalLMOutputWithPast>;
}

/** The language model: `await model({ input_ids })` gives logits, `model.generate(…)` continues texts. */
export class MistralForCausalLM extends PreTrainedModel<CausalLMInputs, CausalLMOutputWithPast> {
  /**
   * Runs the model once over all tokens of `inputs`.
   * @throws InputError wrong shapes, ids outside the vocabulary, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: CausalLMInputs): Promise<CausalLMOutputWithPast> {
    checkInputs("forward", inputs, causalKeys);
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, this.config);
    const { B, S } = batch;
    const V = this.config.vocab_size;
    const keep = readKeep("forward", inputs.logits_to_keep, S);
    const labels = readGrid("forward", "labels", inputs.labels, batch, [0, V - 1]);
    const numItems = inputs.num_items_in_batch ?? undefined;
    if (numItems !== undefined && !(numItems > 0)) {
      throw new InputError(`forward: num_items_in_batch: ${numItems}: expected a number above 0`);
    }
    const request = { keep, labels, numItems };
    const { result, shared } = await this.run(inputs, batch, request, {
      logits: true,
      last: false,
    });
    const logits = new Tensor("float32", result.logits ?? new Float32Array(), [B, keep.length, V]);
    const loss =
      result.loss === undefined
        ? undefined
        : new Tensor("float32", Float32Array.of(result.loss), []);
    return { ...(loss && { loss }), logits, ...shared };
  }

  /**
   * Continues one or more token sequences.
   *
   * @param inputs  `input_ids` [B, S], padded on the left if lengths differ; or an object with `input_ids`, `attention_mask` [B, S]
   *                (1 token, 0 padding) and any of the options
   * @param options any field of `GenerationConfig`; what is not given comes from generation_config.json, then from the documented
   *                defaults. `signal` stops within one op; `streamer` gets each token as soon as it is chosen
   * @returns [B · num_return_sequences, S + new], prompt included; rows that ended early are filled with `pad_token_id`.
   *                With `return_dict_in_generate`: an object
   * @throws InputError  unknown option (with the nearest known one), right padding, an id outside [0, vocab_size)
   * @throws MemoryError the cache for `max_length` does not fit (with the arithmetic); nothing has been allocated
   * @see Transformers 5.23 `GenerationMixin.generate`
   */
  generate(
    inputs: (GenerateInputs & GenerateOptions) | NestedInput,
    options: GenerateInputs & GenerateOptions & { return_dict_in_generate: true },
  ): Promise<GenerateDecoderOnlyOutput>;
  generate(
    inputs: GenerateInputs & GenerateOptions & { return_dict_in_generate: true },
  ): Promise<GenerateDecoderOnlyOutput>;
  generate(
    inputs: (GenerateInputs & GenerateOptions) | NestedInput,
    options?: GenerateInputs & GenerateOptions,
  ): Promise<Tensor>;
  generate(
    inputs: (GenerateInputs & GenerateOptions) | NestedInput,
    options: GenerateInputs & GenerateOptions = {},
  ): Promise<Tensor | GenerateDecoderOnlyOutput> {
    return generate(
      { engine: this.engine, config: this.config, own: this.generation_config },
      inputs,
      options,
    );
  }
}
