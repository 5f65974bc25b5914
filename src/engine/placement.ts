// Moves data between the places of a batch [B, S] and the rows of steps: gathers the inputs of a chunk and scatters its results.
// B batch, S tokens given, T columns with those of the cache, H hidden, K logits of a row, Hq heads. Knows no pages and no plans.

import { InputError } from "../errors.ts";
import type { StepResult, StepRows } from "../generate/runner.ts";
import type { Wants } from "../generate/record.ts";
import type { MistralConfig } from "../models/config.ts";
import { headOf, type ModelClass, pooledColumn } from "../models/heads.ts";
import { type CallLoss, callLoss } from "./call-loss.ts";
import type { ForwardRequest, ForwardResult } from "./messages.ts";
import { checkResultBytes } from "./result-bytes.ts";

/** Where a row of the step stands: row and column of [B, S], and its column in its sequence. */
export type RowPlace = { readonly b: number; readonly i: number; readonly at: number };

type RowInputs = Pick<
  StepRows,
  "ids" | "embeds" | "positions" | "ropeLengths" | "want" | "labels" | "sharedOutliers"
>;

export class Placement {
  readonly wants: Wants;
  readonly #request: ForwardRequest;
  readonly #config: MistralConfig;
  /** Columns of the cache that the call was given. */
  readonly #past: number;
  /** K */
  readonly #width: number;
  /** For each column of S whose logits are wanted: where it stands in `keep`, several times if it was asked for twice. */
  readonly #kept = new Map<number, number[]>();
  /** [B], of a sequence classifier: the column of each row whose logits classify it. */
  readonly #pooled: readonly number[] | undefined;
  readonly #loss: CallLoss | undefined;
  readonly #logits: Float32Array | undefined;
  readonly #last: Float32Array | undefined;
  readonly #hidden: Float32Array[] = [];
  readonly #attentions: Float32Array[] = [];
  /** [B] the length of each sequence that its angles are made for: its largest position + 1. */
  readonly #ropeLengths: Int32Array;

  /**
   * @param T columns of the cache and of this call
   * @throws InputError labels or a batch that do not fit the model class; MemoryError results that do not fit
   */
  constructor(request: ForwardRequest, config: MistralConfig, modelClass: ModelClass, T: number) {
    const { B, S, wants, positions } = request;
    const { hidden_size: H, num_hidden_layers: L, num_attention_heads: Hq } = config;
    this.#request = request;
    this.#config = config;
    this.#past = T - S;
    this.#width = headOf(modelClass, config)?.width ?? 0;
    this.#ropeLengths = Int32Array.from({ length: B }, (_, b) => {
      const own = positions?.subarray(b * S, (b + 1) * S);
      return own?.reduce((most, position) => Math.max(most, position + 1), 0) ?? T;
    });
    request.keep.forEach((i, n) => this.#kept.set(i, [...(this.#kept.get(i) ?? []), n]));
    if (modelClass === "MistralForSequenceClassification")
      this.#pooled = pooledColumns(request, config);
    this.#loss = callLoss(request, config, modelClass, this.#pooled);
    const kept = this.#pooled === undefined ? request.keep.length : 1;
    if (wants.logits) [this.#logits] = results("logits", 1, [B, kept, this.#width]);
    if (wants.last || wants.hidden) [this.#last] = results("last_hidden_state", 1, [B, S, H]);
    if (wants.hidden) this.#hidden = results("hidden_states", L, [B, S, H]);
    if (wants.attentions) this.#attentions = results("attentions", L, [B, Hq, S, T]);
    this.wants = {
      logits: wants.logits,
      last: this.#last !== undefined,
      hidden: wants.hidden,
      attentions: wants.attentions,
      losses: this.#loss?.loss,
    };
  }

  /**
   * Whether all B · S places must be rows of one step, masked ones too: a masked place has a label or classifies its row, or the loss is
   * over the columns of a sequence.
   */
  get needsEveryPlace(): boolean {
    if (this.#loss?.loss.kind === "spans") return true;
    const { B, S, mask } = this.#request;
    if (mask === undefined) return false;
    const T = this.#past + S;
    for (let b = 0; b < B; b++) {
      for (let i = 0; i < S; i++) {
        if (mask[b * T + this.#past + i] === 1) continue;
        if (this.#loss?.judges({ b, i }) || this.#pooled?.[b] === i) return true;
      }
    }
    return false;
  }

  /** The inputs of a step with these rows. Rows of which the call needs logits, a last state or a loss are wanted. */
  inputs(rows: readonly RowPlace[]): RowInputs {
    const { S, ids, embeds, positions } = this.#request;
    const H = this.#config.hidden_size;
    const place = ({ b, i }: RowPlace): number => b * S + i;
    const wanted = this.#wanted(rows);
    const labels = this.#loss?.labels(wanted.map((t) => rows[t]));
    const position = (row: RowPlace): number => positions?.[place(row)] ?? this.#past + row.i;
    const inputs: RowInputs = {
      positions: Int32Array.from(rows, position),
      ropeLengths: Int32Array.from(rows, ({ b }) => this.#ropeLengths[b]),
      want: Int32Array.from(wanted),
      sharedOutliers: true,
      ...(labels && { labels }),
    };
    if (ids !== undefined)
      return { ...inputs, ids: Int32Array.from(rows, (row) => ids[place(row)]) };
    const gathered = new Float32Array(rows.length * H);
    rows.forEach((row, t) => {
      gathered.set(embeds?.subarray(place(row) * H, (place(row) + 1) * H) ?? [], t * H);
    });
    return { ...inputs, embeds: gathered };
  }

  /** Puts a step's results to their places. @param startOf the frame column where row b's sequence starts */
  take(rows: readonly RowPlace[], result: StepResult, startOf: (b: number) => number): void {
    const { S } = this.#request;
    const { hidden_size: H } = this.#config;
    const K = this.#width;
    const wanted = this.#wanted(rows).map((t) => rows[t]);
    wanted.forEach((place, n) => {
      for (const at of this.#logitsOf(place)) this.#logits?.set(rowOf(result.logits, n, K), at * K);
      this.#last?.set(rowOf(result.last, n, H), (place.b * S + place.i) * H);
    });
    if (result.losses !== undefined) this.#loss?.take(wanted, result.losses);
    rows.forEach((row, t) => {
      this.#hidden.forEach((layer, l) => {
        layer.set(rowOf(result.hidden[l], t, H), (row.b * S + row.i) * H);
      });
    });
    this.#takeAttentions(rows, result, startOf);
  }

  result(): ForwardResult {
    const { wants } = this.#request;
    return {
      logits: this.#logits,
      ...(wants.last && { last: this.#last }),
      ...(wants.hidden && this.#last && { hidden: [...this.#hidden, this.#last] }),
      ...(wants.attentions && { attentions: this.#attentions }),
      ...(this.#loss && { loss: this.#loss.mean() }),
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
      rows.forEach(({ b, i }, t) => {
        for (let head = 0; head < Hq; head++) {
          const from = (t * Hq + head) * C;
          const to = ((b * Hq + head) * S + i) * T + startOf(b);
          const width = Math.min(C, T - startOf(b));
          this.#attentions[l].set(probs.subarray(from, from + width), to);
        }
      });
    });
  }

  /** Rows of the step whose logits, last state or loss is needed. */
  #wanted(rows: readonly RowPlace[]): number[] {
    const all = this.#last !== undefined;
    return [...rows.keys()].filter((t) => {
      const needed = this.#logits !== undefined && this.#logitsOf(rows[t]).length > 0;
      return all || needed || this.#loss?.judges(rows[t]);
    });
  }

  /** Where a place's logits go: rows of the result, several when its column was asked for twice. */
  #logitsOf({ b, i }: RowPlace): readonly number[] {
    if (this.#pooled !== undefined) return this.#pooled[b] === i ? [b] : [];
    const { length } = this.#request.keep;
    return (this.#kept.get(i) ?? []).map((n) => b * length + n);
  }
}

/** The column that classifies each row: its last token. @throws InputError several rows, and no pad token that tells which is the last */
function pooledColumns(
  { B, S, ids, padTokenId: given }: ForwardRequest,
  { pad_token_id }: MistralConfig,
): number[] {
  const padTokenId = given === undefined ? pad_token_id : given;
  if (padTokenId === null && B > 1) {
    throw new InputError(
      `forward: a batch of ${B} rows came, but the config has no pad_token_id, so that the last token of each is not known; ` +
        "set config.pad_token_id, or give one row at a time",
    );
  }
  return Array.from({ length: B }, (_, b) =>
    pooledColumn(ids?.subarray(b * S, (b + 1) * S), S, padTokenId),
  );
}

/** Zeros for results. @throws MemoryError they do not fit */
function results(name: string, count: number, dims: readonly number[]): Float32Array[] {
  const remedy =
    "use a shorter input or a smaller batch, or logits_to_keep: 1 when the last logits are enough";
  checkResultBytes("forward", name, count, dims, remedy);
  const size = dims.reduce((a, b) => a * b, 1);
  return Array.from({ length: count }, () => new Float32Array(size));
}

function rowOf(values: Float32Array | undefined, row: number, width: number): Float32Array {
  return values?.subarray(row * width, (row + 1) * width) ?? new Float32Array(0);
}
