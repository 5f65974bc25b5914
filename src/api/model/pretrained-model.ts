// PreTrainedModel: what all model classes share. It holds the engine, checks the inputs that all of them take, and shapes the outputs
// that all of them have. Knows no head and no backend.

import { InputError } from "../../errors.ts";
import type { ForwardRequest, ForwardResult, MemoryReport } from "../../engine/messages.ts";
import type { Engine } from "../../engine/supervisor.ts";
import type { GenerationConfig } from "../../generate/generation-config.ts";
import { countParameters } from "../../models/config-weights.ts";
import type { MistralConfig } from "../../models/config.ts";
import { warnOnce } from "../../warn-once.ts";
import { DynamicCache } from "./cache.ts";
import { Callable } from "../callable.ts";
import { backendOf, readTarget, type Target } from "../device.ts";
import { refusePromise } from "../forgotten-await.ts";
import { allColumns, type Batch, readCount, readGrid, readMask } from "./inputs.ts";
import {
  type Loaded,
  loadModel,
  type ModelConstructor,
  newModel,
  type WithLoadingInfo,
} from "./load.ts";
import type { LoadOptions, LoadOptionsWithInfo, NewModelOptions } from "./load-options.ts";
import type { BaseModelOutputWithPast } from "./outputs.ts";
import { type KeptWeights, NO_UPLOAD, saveModel, type SaveOptions } from "./save-model.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";
import type { Spelled, WeightDType } from "../tensor/torch.ts";

/** Inputs of `forward`. B batch, S new tokens, T = columns of `past_key_values` + S, H hidden. */
export type ForwardInputs = {
  /** [B, S]; exactly one of this and `inputs_embeds` */
  input_ids?: NestedInput;
  /** [B, T]: 1 token, 0 padding. Default: all 1 */
  attention_mask?: NestedInput;
  /** [B, S] or [1, S]. Default: counted from 0 over all columns, padding included */
  position_ids?: NestedInput;
  /** [B, S, H]: embeddings in place of ids */
  inputs_embeds?: NestedInput;
  /** The cache that an earlier call returned; this call adds to it. */
  past_key_values?: DynamicCache;
  /** Whether to return `past_key_values`. Default: the config's `use_cache`; false if `labels` are given */
  use_cache?: boolean;
  /** Whether the result has `hidden_states`, those of every layer. Default: the config's */
  output_hidden_states?: boolean;
  /** Whether the result has `attentions`; needs `attn_implementation: "eager"`. Default: the config's */
  output_attentions?: boolean;
  /** Accepted, and changes nothing: the result is always an object. */
  return_dict?: boolean;
  /** Stops within one op; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
};

const MAX_POSITION = 2 ** 31 - 1;
const keys: readonly (keyof ForwardInputs)[] = [
  ...(["input_ids", "attention_mask", "position_ids", "inputs_embeds"] as const),
  ...(["past_key_values", "use_cache", "output_hidden_states", "output_attentions"] as const),
  ...(["return_dict", "signal"] as const),
];

/** For the library: the keys of `ForwardInputs`. */
export const forwardKeys: ReadonlySet<string> = new Set(keys);

const NOTHING = new Int32Array(0);

/** The parts of a request to the engine that a model class decides. */
type ClassRequest = Partial<
  Pick<ForwardRequest, "keep" | "labels" | "numItems" | "padTokenId" | "problemType">
>;

/** What all models share. */
export abstract class PreTrainedModel<Inputs extends ForwardInputs, Output> extends Callable<
  [Inputs],
  Promise<Output>
> {
  readonly config: MistralConfig;
  readonly generation_config: GenerationConfig;
  /** Where it computes: "cpu", or "reference" (plain loops in float64). `inputs.to(model.device)` takes it. */
  readonly device: "cpu" | "reference";
  /** How the weights are kept: "float32", "bfloat16", "float16". */
  readonly dtype: string;
  protected readonly engine: Engine;
  readonly #attention: "flash" | "eager";
  readonly #kept: KeptWeights;

  /** For the library: models are made by `from_pretrained`. */
  constructor({ engine, config, generation_config, device, dtype, attention, kept }: Loaded) {
    super();
    this.engine = engine;
    this.config = config;
    this.generation_config = generation_config;
    this.device = device;
    this.dtype = dtype;
    this.#attention = attention;
    this.#kept = kept;
  }

  /**
   * Loads a model: from a folder with config.json and safetensors, from a GGUF file, or by its id on the hub, which is fetched into the cache
   * unless it is there.
   *
   * @param dir a folder as it was published, the path of a GGUF file, or an id such as "mistralai/Mistral-7B-v0.1"
   * @throws InputError      an unknown option or value
   * @throws CheckpointError a file is missing, malformed, or does not fit the config or this class; or it cannot be fetched. Nothing has
   *                         been allocated
   * @throws MemoryError     the weights do not fit (with the arithmetic); nothing has been allocated
   */
  static from_pretrained<Model>(
    this: ModelConstructor<Model>,
    dir: string,
    options: LoadOptionsWithInfo,
  ): Promise<WithLoadingInfo<Model>>;
  static from_pretrained<Model>(
    this: ModelConstructor<Model>,
    dir: string,
    options?: LoadOptions,
  ): Promise<Model>;
  static from_pretrained<Model>(
    this: ModelConstructor<Model>,
    dir: string,
    options: LoadOptions = {},
  ): Promise<Model | WithLoadingInfo<Model>> {
    return loadModel(`${this.modelClass}.from_pretrained`, this, dir, options);
  }

  /**
   * Makes a model with random weights, as Transformers initialises one: matrices from a normal distribution with the standard deviation
   * `initializer_range`, norms 1, biases 0. The same seed gives the same weights.
   *
   * @param options `seed` (default 0), `dtype`, and how and where the model computes
   * @throws InputError  no config, or one that no model can have; an unknown option or value
   * @throws MemoryError the weights do not fit (with the arithmetic); nothing has been allocated
   */
  static from_config<Model>(
    this: ModelConstructor<Model>,
    config: MistralConfig,
    options: NewModelOptions = {},
  ): Promise<Model> {
    return newModel(`${this.modelClass}.from_config`, this, config, options);
  }

  /** The same as calling the model. */
  abstract forward(inputs: Inputs): Promise<Output>;

  override _call(inputs: Inputs): Promise<Output> {
    refusePromise("model", inputs);
    return this.forward(inputs);
  }

  /**
   * Returns the model itself, which is where it was loaded: for `model.to("cuda")` of an example. A GPU's name means the GPU if there is
   * one that can be used, else the CPU, with one warning.
   *
   * @throws InputError an unknown device or dtype; or another one than the model was loaded with, which has to be chosen in
   *                    from_pretrained
   */
  to(target: Target<Spelled<WeightDType>>, dtype?: Spelled<WeightDType>): this {
    const wanted = readTarget("model.to", target, dtype, ["float32", "float16", "bfloat16"]);
    const backend = this.device === "cpu" ? "wasm" : this.device;
    if (wanted.device !== undefined && backendOf("model.to", wanted.device) !== backend) {
      throw new InputError(
        `model.to: the model was loaded for "${this.device}"; to change that, load it again with device_map: ${JSON.stringify(wanted.device)}`,
      );
    }
    if (wanted.dtype !== undefined && wanted.dtype !== this.dtype) {
      throw new InputError(
        `model.to: the weights are kept as ${this.dtype}; to change that, load them again with dtype: "${wanted.dtype}"`,
      );
    }
    return this;
  }

  /** Returns the model itself: there is no dropout here that it would switch off. */
  eval(): this {
    return this;
  }

  /**
   * How many numbers the weights have, tied ones counted once; quantised ones as before quantisation.
   * @param _only_trainable    has no effect: every weight counts
   * @param exclude_embeddings whether to leave the token embedding out. Default false
   */
  num_parameters(_only_trainable = false, exclude_embeddings = false): number {
    const { modelClass } = this.constructor as ModelConstructor<this>;
    return countParameters(this.config, modelClass, !exclude_embeddings);
  }

  /** How many bytes the weights take, as they are kept here. */
  async get_memory_footprint(): Promise<number> {
    return (await this.memory()).weights;
  }

  /** How many bytes the engine holds, and how many pages its cache has. */
  memory(): Promise<MemoryReport> {
    return this.engine.call("memory", {});
  }

  /**
   * Writes the model into a folder, which is made if it does not exist: config.json, generation_config.json of a language model, and the
   * weights as they are kept here, in safetensors files that Transformers loads. Weights quantised by bitsandbytes' methods are written
   * as bitsandbytes does, those of "q4" and "q8" as `mistral quantize` does; weights of a GGUF file are dequantised, as in Transformers.
   * New files take the place of older ones when all of them are complete. Memory: one weight.
   *
   * @throws InputError      an unknown option; `push_to_hub`; weights of a method that is only read (GPTQ, AWQ, compressed-tensors)
   * @throws CheckpointError the folder cannot be written, or the disk has too little room; what was there stays
   */
  async save_pretrained(save_directory: string, options: SaveOptions = {}): Promise<void> {
    const { modelClass } = this.constructor as ModelConstructor<this>;
    const { engine, config, generation_config, dtype } = this;
    const model = { ...this.#kept, engine, config, generation_config, dtype, modelClass };
    await saveModel(`${modelClass}.save_pretrained`, model, save_directory, options);
  }

  /** Not supported: always rejects, and says what to do instead. */
  async push_to_hub(_repo_id: string): Promise<never> {
    throw new InputError(`push_to_hub: ${NO_UPLOAD}`);
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
    request: ClassRequest,
    wants: { logits: boolean; last: boolean },
  ): Promise<{ result: ForwardResult; shared: Shared }> {
    const { B, S } = batch;
    const past = DynamicCache.read(inputs.past_key_values, this.engine);
    const T = (past?.get_seq_length() ?? 0) + S;
    const asked = inputs.output_attentions ?? this.config.output_attentions;
    const attentions = asked && (this.#attention === "eager" || inputs.output_attentions === true);
    if (asked && !attentions) {
      warnOnce(
        'forward: config.json asks for output_attentions, which only a model loaded with attn_implementation: "eager" can give; there are none',
      );
    }
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
        keep: NOTHING,
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

  /** Runs the head over all columns, for a class whose output has no cache. */
  protected async runHead(
    inputs: ForwardInputs & { num_items_in_batch?: number },
    batch: Batch,
    labels: Int32Array | undefined,
  ): Promise<{
    logits: Float32Array;
    loss: { loss?: Tensor };
    outputs: Omit<Shared, "past_key_values">;
  }> {
    const numItems = readCount("forward", "num_items_in_batch", inputs.num_items_in_batch);
    const { result, shared } = await this.run(
      { ...inputs, use_cache: false },
      batch,
      { keep: allColumns(batch.S), labels, numItems },
      { logits: true, last: false },
    );
    const { past_key_values: _cache, ...outputs } = shared;
    return { logits: result.logits ?? new Float32Array(), loss: this.lossOf(result), outputs };
  }

  /** The output `loss`, if the call had labels. */
  protected lossOf({ loss }: ForwardResult): { loss?: Tensor } {
    return loss === undefined ? {} : { loss: new Tensor("float32", Float32Array.of(loss), []) };
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
