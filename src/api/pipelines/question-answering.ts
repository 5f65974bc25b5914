// The pipeline "question-answering": finds the answer to a question in a text. A long text is cut into overlapping pieces; answer-spans.ts
// chooses in each. Does not know how the model computes.

import { InputError } from "../../errors.ts";
import type { MistralForQuestionAnswering } from "../model/question-answering.ts";
import type { BatchEncoding } from "../tokenizer/batch-encoding.ts";
import { answerSpans } from "./answer-spans.ts";
import { Pipeline, type PipelineCallOptions } from "./pipeline-base.ts";

export type QuestionAnsweringOptions = PipelineCallOptions & {
  /** How many answers are returned, the best first; there may be fewer. Default 1: one answer, not a list. */
  top_k?: number;
  /** The most tokens of an answer. Default 15. */
  max_answer_len?: number;
  /** The most tokens of question and piece of the text together. Default: the tokenizer's `model_max_length`, at most 384. */
  max_seq_len?: number;
  /** How many tokens two pieces share. Default: half of `max_seq_len`, at most 128. */
  doc_stride?: number;
  /** Whether "" is an answer: that there is none. Its score is the least of all pieces. Default false. */
  handle_impossible_answer?: boolean;
  /** Whether an answer is widened to whole words, where the tokenizer knows words. Default true. */
  align_to_words?: boolean;
};

export type Question = { question: string; context: string };

/** An answer, and where it stands in the context, in Unicode code points: `[...context].slice(start, end).join("")`. */
export type Answer = { score: number; start: number; end: number; answer: string };

const KNOWN: ReadonlySet<string> = new Set([
  ...["batch_size", "signal", "top_k", "max_answer_len", "max_seq_len", "doc_stride"],
  ...["handle_impossible_answer", "align_to_words"],
]);

/** Question and a piece of the context, as the model reads them. */
type Piece = {
  readonly ids: number[];
  readonly row: number;
  readonly encoding: BatchEncoding;
  /** Whether a token is of the context. */
  readonly allowed: boolean[];
};

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- only call signatures: instances are functions
export interface QuestionAnsweringPipeline {
  /** The answer; with `top_k` above 1 a list of answers, unless there is only one. */
  (question: Question, options?: QuestionAnsweringOptions): Promise<Answer | Answer[]>;
  /** The answer, or answers, to each question. */
  (
    questions: readonly Question[],
    options?: QuestionAnsweringOptions,
  ): Promise<(Answer | Answer[])[]>;
}

/** Answers questions: `await ask({ question: "Who met Bob?", context: "Anna met Bob." })` gives `{ score, start, end, answer }`. */
export class QuestionAnsweringPipeline extends Pipeline<
  MistralForQuestionAnswering,
  Question | readonly Question[],
  QuestionAnsweringOptions,
  Answer | Answer[] | (Answer | Answer[])[]
> {
  readonly task = "question-answering";
  /** For the library: the names of its calls' options. */
  static readonly options: ReadonlySet<string> = KNOWN;

  async _call(
    questions: Question | readonly Question[],
    given?: QuestionAnsweringOptions,
  ): Promise<Answer | Answer[] | (Answer | Answer[])[]> {
    const options = this.#checked(this.optionsOf(given, KNOWN));
    const isList = Array.isArray(questions);
    const list = (isList ? questions : [questions]) as readonly Question[];
    const pieces = list.map((question) => this.#pieces(question, options));
    const logits = await this.inBatches(pieces.flat(), options, async (batch) => {
      const { inputs, starts } = this.padded(batch.map(({ ids }) => ids));
      const { start_logits, end_logits } = await this.model({ ...inputs, signal: options.signal });
      const S = start_logits.dims[1];
      return batch.map(({ ids }, b) =>
        [start_logits, end_logits].map(({ data }) => {
          const from = b * S + starts[b];
          return [...data.subarray(from, from + ids.length)];
        }),
      );
    });
    const answers = list.map(({ context }, i) => {
      const own = logits.splice(0, pieces[i].length);
      const found = bestAnswers(context, pieces[i], own, options);
      return found.length === 1 ? found[0] : found;
    });
    return isList ? answers : answers[0];
  }

  #checked(
    options: QuestionAnsweringOptions,
  ): QuestionAnsweringOptions & { max_seq_len: number; doc_stride: number } {
    const { top_k = 1, max_answer_len = 15 } = options;
    const { max_seq_len = Math.min(this.tokenizer.model_max_length, 384) } = options;
    const { doc_stride = Math.min(Math.floor(max_seq_len / 2), 128) } = options;
    for (const [name, value] of Object.entries({ top_k, max_answer_len, max_seq_len })) {
      if (!Number.isInteger(value) || value < 1)
        throw new InputError(`${this.task}: ${name}: ${value}: expected 1 or more`);
    }
    if (!Number.isInteger(doc_stride) || doc_stride < 0 || doc_stride >= max_seq_len) {
      throw new InputError(
        `${this.task}: doc_stride: ${doc_stride}: expected a whole number below max_seq_len (${max_seq_len})`,
      );
    }
    return { ...options, max_seq_len, doc_stride };
  }

  /** The question beside each piece of the context. Where rows are padded on the left, the context comes first, as in Transformers. */
  #pieces(
    { question, context }: Question,
    { max_seq_len, doc_stride }: { max_seq_len: number; doc_stride: number },
  ): Piece[] {
    for (const text of [question, context]) {
      if (typeof text === "string" && text !== "") continue;
      throw new InputError(
        `${this.task}: got { question: ${JSON.stringify(question)}, context: ${JSON.stringify(context)} }; expected two texts`,
      );
    }
    const isFirst = this.tokenizer.padding_side === "right";
    const encoding = this.tokenizer([isFirst ? question : context], {
      text_pair: [isFirst ? context : question],
      truncation: isFirst ? "only_second" : "only_first",
      ...{ max_length: max_seq_len, stride: doc_stride, return_overflowing_tokens: true },
      return_offsets_mapping: true,
    });
    return (encoding.input_ids as number[][]).map((ids, row) => ({
      ...{ ids, row, encoding },
      allowed: encoding.sequence_ids(row).map((text) => text === (isFirst ? 1 : 0)),
    }));
  }
}

function bestAnswers(
  context: string,
  pieces: readonly Piece[],
  logits: readonly number[][][],
  {
    top_k = 1,
    max_answer_len = 15,
    handle_impossible_answer = false,
    align_to_words = true,
  }: QuestionAnsweringOptions,
): Answer[] {
  const points = [...context];
  const answers: Answer[] = [];
  let none = Infinity;
  pieces.forEach((piece, i) => {
    const isAligned = align_to_words && knowsWords(piece);
    // Several spans may be parts of one word.
    const count = isAligned ? 2 * top_k + 10 : top_k;
    const [starts, ends] = logits[i];
    const found = answerSpans(starts, ends, piece.allowed, { count, longest: max_answer_len });
    none = Math.min(none, found.none);
    for (const { first, last, score } of found.spans) {
      const [start, end] = isAligned ? wordEdges(piece, first, last) : edges(piece, first, last);
      const answer = points.slice(start, end).join("");
      const same = answers.find((each) => each.answer.toLowerCase() === answer.toLowerCase());
      if (same === undefined) answers.push({ score, start, end, answer });
      else same.score += score;
    }
  });
  if (handle_impossible_answer) answers.push({ score: none, start: 0, end: 0, answer: "" });
  return answers.toSorted((a, b) => b.score - a.score).slice(0, top_k);
}

/** Most of Mistral's tokenizers do not divide a text into words: all its tokens are of one word then. */
function knowsWords({ encoding, row, allowed }: Piece): boolean {
  return new Set(encoding.word_ids(row).filter((_, i) => allowed[i])).size > 1;
}

function edges({ encoding, row }: Piece, first: number, last: number): [number, number] {
  const offsets = (encoding.offset_mapping as [number, number][][])[row];
  return [offsets[first][0], offsets[last][1]];
}

function wordEdges(piece: Piece, first: number, last: number): [number, number] {
  const { encoding, row, allowed } = piece;
  const words = encoding.word_ids(row);
  const own = (token: number): number[] =>
    words.flatMap((word, i) => (allowed[i] && word === words[token] ? [i] : []));
  return edges(piece, own(first)[0], own(last).at(-1) ?? last);
}
