// Pipeline: what the pipelines of all tasks share. It keeps model and tokenizer, runs inputs in batches and pads them. Does not know what
// a task makes of the model's outputs.

import { checkOptions } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import { showValue } from "../../show-value.ts";
import { Callable } from "../callable.ts";
import type { ForwardInputs, PreTrainedModel } from "../model/pretrained-model.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { PreTrainedTokenizer } from "../tokenizer/tokenizer.ts";

/** Options of a call of any pipeline. */
export type PipelineCallOptions = {
  /** How many inputs run at once. Default 1. The results are the same. */
  batch_size?: number;
  /** Stops within one op; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
};

/** For the library: what a pipeline is made from. */
export type PipelineParts<Model, Options> = {
  model: Model;
  tokenizer: PreTrainedTokenizer;
  /** Options of calls that do not give their own. */
  defaults: Options;
  /** Whether `dispose` ends the model too. */
  ownsModel: boolean;
};

type AnyModel = PreTrainedModel<ForwardInputs, object>;

/** What all pipelines share. */
export abstract class Pipeline<
  Model extends AnyModel,
  Inputs,
  Options extends PipelineCallOptions,
  Output,
> extends Callable<[Inputs, Options?], Promise<Output>> {
  /** The task's name, such as "text-classification". */
  abstract readonly task: string;
  readonly model: Model;
  readonly tokenizer: PreTrainedTokenizer;
  readonly #defaults: Options;
  readonly #ownsModel: boolean;

  /** For the library: pipelines are made by `pipeline`. */
  constructor({ model, tokenizer, defaults, ownsModel }: PipelineParts<Model, Options>) {
    super();
    this.model = model;
    this.tokenizer = tokenizer;
    this.#defaults = defaults;
    this.#ownsModel = ownsModel;
  }

  /** Ends the model's threads and releases its memory, if `pipeline` loaded it. A model that was passed as an object stays. */
  async dispose(): Promise<void> {
    if (this.#ownsModel) await this.model.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  protected get paddingSide(): "left" | "right" {
    return this.tokenizer.padding_side;
  }

  /** The options of a call, on top of those of the pipeline. @throws InputError an unknown one */
  protected optionsOf(given: Options | undefined, known: ReadonlySet<string>): Options {
    if (given !== undefined && (typeof given !== "object" || Array.isArray(given))) {
      throw new InputError(
        `${this.task}: the second argument is ${showValue(given)}; expected an object of options, such as { batch_size: 8 }. ` +
          "All inputs go into the first argument",
      );
    }
    const options = { ...this.#defaults, ...given } as Options;
    checkOptions(this.task, options, known);
    const { batch_size = 1 } = options;
    if (!Number.isInteger(batch_size) || batch_size < 1) {
      throw new InputError(`${this.task}: batch_size: ${batch_size}: expected 1 or more`);
    }
    return options;
  }

  /** Runs all items, `batch_size` at a time. */
  protected async inBatches<Item, Result>(
    items: readonly Item[],
    { batch_size = 1 }: Options,
    run: (batch: readonly Item[]) => Promise<readonly Result[]>,
  ): Promise<Result[]> {
    const results: Result[] = [];
    for (let from = 0; from < items.length; from += batch_size)
      results.push(...(await run(items.slice(from, from + batch_size))));
    return results;
  }

  /**
   * Rows of ids as one batch [B, S], padded on the pipeline's side, usually the tokenizer's.
   * @returns the inputs of the model, and in which column each row begins
   */
  protected padded(rows: readonly (readonly number[])[]): {
    inputs: { input_ids: Tensor; attention_mask: Tensor };
    starts: number[];
  } {
    const B = rows.length;
    const S = Math.max(...rows.map((row) => row.length));
    const isLeft = this.paddingSide === "left";
    const ids = new Int32Array(B * S).fill(this.#padId(rows.some((row) => row.length < S)));
    const mask = new Int32Array(B * S);
    const starts = rows.map((row) => (isLeft ? S - row.length : 0));
    rows.forEach((row, b) => {
      ids.set(row, b * S + starts[b]);
      mask.fill(1, b * S + starts[b], b * S + starts[b] + row.length);
    });
    const tensor = (data: Int32Array): Tensor => new Tensor("int32", data, [B, S]);
    return { inputs: { input_ids: tensor(ids), attention_mask: tensor(mask) }, starts };
  }

  #padId(isNeeded: boolean): number {
    const id = this.model.config.pad_token_id ?? this.tokenizer.pad_token_id;
    if (id !== null || !isNeeded) return id ?? 0;
    throw new InputError(
      `${this.task}: texts of different lengths need a padding token to run in one batch; set tokenizer.pad_token, for example to tokenizer.eos_token, or leave out batch_size`,
    );
  }
}

/** Softmax of K logits, in float64. */
export function softmaxOf(logits: ArrayLike<number>): number[] {
  const numbers = Array.from(logits);
  const most = Math.max(...numbers);
  const powers = numbers.map((x) => Math.exp(x - most));
  const sum = powers.reduce((total, x) => total + x, 0);
  return powers.map((x) => x / sum);
}

/** The index of the largest number, the first if there are several. */
export const largestAt = (numbers: readonly number[]): number =>
  numbers.indexOf(Math.max(...numbers));
