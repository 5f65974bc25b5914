// MistralForQuestionAnswering: where in a text an answer begins and ends. It checks inputs and shapes logits; an engine behind it
// computes. B batch, S tokens. Knows no backend.

import { InputError } from "../../errors.ts";
import type { ModelClass } from "../../models/heads.ts";
import { checkInputs, readBatch, readRowIntegers } from "./inputs.ts";
import type { QuestionAnsweringModelOutput } from "./outputs.ts";
import { type ForwardInputs, forwardKeys, PreTrainedModel } from "./pretrained-model.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";

export type QuestionAnsweringInputs = ForwardInputs & {
  /** [B]: the column of each answer's first token. One outside the S columns is ignored. Given with `end_positions` */
  start_positions?: NestedInput;
  /** [B]: the column of each answer's last token */
  end_positions?: NestedInput;
  /** The summed losses are divided by this number. Default: the number of positions that are not ignored */
  num_items_in_batch?: number;
};

const keys: ReadonlySet<string> = new Set([
  ...[...forwardKeys, "start_positions", "end_positions", "num_items_in_batch"],
]);

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface MistralForQuestionAnswering {
  (inputs: QuestionAnsweringInputs): Promise<QuestionAnsweringModelOutput>;
}

/** The finder of answers: `await model({ input_ids })` gives start_logits and end_logits [B, S], one number for each token. */
export class MistralForQuestionAnswering extends PreTrainedModel<
  QuestionAnsweringInputs,
  QuestionAnsweringModelOutput
> {
  static readonly modelClass: ModelClass = "MistralForQuestionAnswering";

  /**
   * Runs the model once over all tokens of `inputs`. As in Transformers the output has no cache.
   * @throws InputError wrong shapes, one of the two positions alone, ids outside the vocabulary, an unknown key
   * @throws MemoryError the cache does not fit; nothing has been allocated
   */
  async forward(inputs: QuestionAnsweringInputs): Promise<QuestionAnsweringModelOutput> {
    checkInputs("forward", inputs, keys);
    const batch = readBatch("forward", inputs.input_ids, inputs.inputs_embeds, this.config);
    const { B, S } = batch;
    const labels = readSpans(inputs, B);
    // logits [B, S, 2]: start and end of a column lie side by side
    const { logits, loss, outputs } = await this.runHead(inputs, batch, labels);
    const [start_logits, end_logits] = [0, 1].map(
      (side) =>
        new Tensor(
          "float32",
          Float32Array.from({ length: B * S }, (_, i) => logits[2 * i + side]),
          [B, S],
        ),
    );
    return { ...loss, start_logits, end_logits, ...outputs };
  }
}

/** [B, 2]: start and end of each answer; undefined if there are none. @throws InputError one without the other, or a wrong shape */
function readSpans(
  { start_positions, end_positions }: QuestionAnsweringInputs,
  B: number,
): Int32Array | undefined {
  if (start_positions == null && end_positions == null) return undefined;
  if (start_positions == null || end_positions == null) {
    throw new InputError(
      `forward: only ${start_positions == null ? "end_positions" : "start_positions"} came; the loss needs both start_positions and end_positions`,
    );
  }
  const starts = readRowIntegers("forward", "start_positions", start_positions, B);
  const ends = readRowIntegers("forward", "end_positions", end_positions, B);
  return Int32Array.from({ length: 2 * B }, (_, i) => (i % 2 === 0 ? starts : ends)[i >> 1]);
}
