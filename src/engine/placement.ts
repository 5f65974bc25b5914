// Between the places of [B, S] and the rows of steps: gathers each chunk's inputs and scatters its results.
// B batch, S tokens given, T frame columns so far, H hidden, V vocabulary, Hq heads. Knows no pages and no plans.

import { availableBytes } from "#platform";
import { MemoryError } from "../errors.ts";
import type { StepResult, StepRows } from "../generate/runner.ts";
import type { Wants } from "../generate/record.ts";
import type { MistralConfig } from "../models/config.ts";
import { IGNORED_LABEL } from "../ops/cross-entropy.ts";
import type { RowPlace } from "./forward.ts";
import type { ForwardRequest, ForwardResult } from "./messages.ts";

type RowInputs = Pick<
  StepRows,
  "ids" | "embeds" | "positions" | "ropeLengths" | "want" | "labels" | "together"
>;

export class Placement {
  readonly wants: Wants;
  readonly #request: ForwardRequest;
  readonly #config: MistralConfig;
  /** Frame columns before this call. */
  readonly #past: number;
  /** Per column of S: its places among the kept ones. */
  readonly #kept = new Map<number, number[]>();
  readonly #logits: Float32Array | undefined;
  readonly #last: Float32Array | undefined;
  readonly #hidden: Float32Array[] = [];
  readonly #attentions: Float32Array[] = [];
  /** [B] the length of each sequence that its angles are made for: its largest position + 1. */
  readonly #ropeLengths: Int32Array;
  #nll = 0;

  /** @param T frame columns with this call's */
  constructor(request: ForwardRequest, config: MistralConfig, T: number) {
    const { B, S, wants, labels, positions } = request;
    const { hidden_size: H, vocab_size: V, num_hidden_layers: L, num_attention_heads: Hq } = config;
    this.#request = request;
    this.#config = config;
    this.#past = T - S;
    this.#ropeLengths = Int32Array.from({ length: B }, (_, b) => {
      const own = positions?.subarray(b * S, (b + 1) * S);
      return own?.reduce((most, position) => Math.max(most, position + 1), 0) ?? T;
    });
    request.keep.forEach((i, n) => this.#kept.set(i, [...(this.#kept.get(i) ?? []), n]));
    const kept = request.keep.length;
    if (wants.logits) [this.#logits] = results("logits", 1, [B, kept, V]);
    if (wants.last || wants.hidden) [this.#last] = results("last_hidden_state", 1, [B, S, H]);
    if (wants.hidden) this.#hidden = results("hidden_states", L, [B, S, H]);
    if (wants.attentions) this.#attentions = results("attentions", L, [B, Hq, S, T]);
    this.wants = {
      logits: wants.logits,
      last: this.#last !== undefined,
      hidden: wants.hidden,
      attentions: wants.attentions,
      nll: labels !== undefined,
    };
  }

  /** What a step needs of these rows; rows are wanted when a result of theirs is. */
  inputs(rows: readonly RowPlace[]): RowInputs {
    const { S, ids, embeds, positions } = this.#request;
    const H = this.#config.hidden_size;
    const place = ({ b, i }: RowPlace): number => b * S + i;
    const wanted = this.#wanted(rows);
    const position = (row: RowPlace): number => positions?.[place(row)] ?? this.#past + row.i;
    const inputs: RowInputs = {
      positions: Int32Array.from(rows, position),
      ropeLengths: Int32Array.from(rows, ({ b }) => this.#ropeLengths[b]),
      want: Int32Array.from(wanted),
      together: true,
      ...(this.wants.nll && { labels: Int32Array.from(wanted, (t) => this.#label(rows[t])) }),
    };
    if (ids !== undefined)
      return { ...inputs, ids: Int32Array.from(rows, (row) => ids[place(row)]) };
    const gathered = new Float32Array(rows.length * H);
    rows.forEach((row, t) => {
      gathered.set(embeds?.subarray(place(row) * H, (place(row) + 1) * H) ?? [], t * H);
    });
    return { ...inputs, embeds: gathered };
  }

  /** Puts a step's results to their places. @param startOf frame column of a sequence's column 0 */
  take(rows: readonly RowPlace[], result: StepResult, startOf: (b: number) => number): void {
    const { S, keep } = this.#request;
    const { hidden_size: H, vocab_size: V } = this.#config;
    this.#wanted(rows).forEach((t, n) => {
      const { b, i } = rows[t];
      for (const column of this.#kept.get(i) ?? []) {
        this.#logits?.set(rowOf(result.logits, n, V), (b * keep.length + column) * V);
      }
      this.#last?.set(rowOf(result.last, n, H), (b * S + i) * H);
      this.#nll += result.nll?.[n] ?? 0;
    });
    rows.forEach((row, t) => {
      this.#hidden.forEach((layer, l) => {
        layer.set(rowOf(result.hidden[l], t, H), (row.b * S + row.i) * H);
      });
    });
    this.#takeAttentions(rows, result, startOf);
  }

  result(): ForwardResult {
    const { wants, labels, numItems, B, S } = this.#request;
    return {
      logits: this.#logits,
      ...(wants.last && { last: this.#last }),
      ...(wants.hidden && this.#last && { hidden: [...this.#hidden, this.#last] }),
      ...(wants.attentions && { attentions: this.#attentions }),
      ...(labels && { loss: this.#nll / (numItems ?? countLabels(labels, B, S)) }),
    };
  }

  #takeAttentions(
    rows: readonly RowPlace[],
    { attentions, columns: C }: StepResult,
    startOf: (b: number) => number,
  ): void {
    const { S } = this.#request;
    const Hq = this.#config.num_attention_heads;
    const T = this.#past + S;
    attentions.forEach((probs, l) => {
      rows.forEach(({ b, i, at }, t) => {
        for (let head = 0; head < Hq; head++) {
          const from = (t * Hq + head) * C;
          const to = ((b * Hq + head) * S + i) * T + startOf(b);
          this.#attentions[l].set(probs.subarray(from, from + at + 1), to);
        }
      });
    });
  }

  /** Rows of the step whose logits, last state or loss is needed. */
  #wanted(rows: readonly RowPlace[]): number[] {
    const all = this.#last !== undefined;
    return [...rows.keys()].filter((t) => {
      const needed = this.#logits !== undefined && this.#kept.has(rows[t].i);
      return all || needed || this.#label(rows[t]) !== IGNORED_LABEL;
    });
  }

  /** The label that judges a row: the next column's. */
  #label({ b, i }: RowPlace): number {
    const { labels, S } = this.#request;
    return labels === undefined || i + 1 >= S ? IGNORED_LABEL : labels[b * S + i + 1];
  }
}

/** Zeros for results. @throws MemoryError with the arithmetic: a worker that asks for more than there is would end */
function results(name: string, count: number, dims: readonly number[]): Float32Array[] {
  const size = dims.reduce((a, b) => a * b, 1);
  const [bytes, free] = [count * size * 4, availableBytes()];
  if (bytes > free) {
    const show = (n: number): string => `${(n / 1e9).toFixed(2)} GB`;
    throw new MemoryError(
      `forward: ${name} ${count} × [${dims.join(", ")}] in float32 take ${show(bytes)}, but ${show(free)} are available; ` +
        "use a shorter input or a smaller batch, or logits_to_keep: 1 when the last logits are enough",
    );
  }
  return Array.from({ length: count }, () => new Float32Array(size));
}

function rowOf(values: Float32Array | undefined, row: number, width: number): Float32Array {
  return values?.subarray(row * width, (row + 1) * width) ?? new Float32Array(0);
}

function countLabels(labels: Int32Array, B: number, S: number): number {
  let count = 0;
  for (let b = 0; b < B; b++) {
    for (let i = 1; i < S; i++) if (labels[b * S + i] !== IGNORED_LABEL) count++;
  }
  return count;
}
