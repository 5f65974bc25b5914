// Grouped-query attention among the rows of one plan, without a cache: packed sequences, as in training.
// Row i sees row j of its own sequence if and only if at_i − window < at_j ≤ at_i.

import { type Op, rowsOf, type Tensor, type Values } from "../graph/graph.ts";
import { f32, i32 } from "./dtypes.ts";
import { type AttentionAttrs, dot } from "./paged-attention.ts";
import { expect, once } from "./shapes.ts";

/** y [T, Hq·D] of q [T, Hq·D], k and v [T, Hkv·D]; seq, at [T] i32: the row's sequence and column */
export const attention = (
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { seq, at }: { seq: Tensor; at: Tensor },
  attrs: AttentionAttrs,
): Tensor => q.graph.emit(attentionOp, [q, k, v, seq, at], attrs)[0];

export const attentionOp: Op<AttentionAttrs> = {
  name: "attention",
  takes: [f32, f32, f32, i32, i32],
  gives: ["f32", "f32"],

  shapes(ins, { heads, kvHeads }) {
    const [q, k, v] = ins;
    const KV = (q.shape[1] / heads) * kvHeads;
    const rows = ins.every((t) => t.shape[0] === q.shape[0]);
    const fits = k.shape[1] === KV && v.shape[1] === KV && heads % kvHeads === 0 && rows;
    expect(
      fits,
      "attention",
      ins,
      `k and v must be [T, ${KV}], seq and at [T]`,
      "are head_dim and num_key_value_heads right?",
    );
    return [rowsOf(q, q.shape[1]), rowsOf(q, heads)]; // the log-sum-exp [T, Hq] is kept for the gradient
  },

  run([y, lse], [q, k, v, seq, at], [[T, width], [, KV]], attrs) {
    const { heads, kvHeads, scale } = attrs;
    const D = width / heads;
    y.fill(0);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        const i = t * width + head * D;
        const kv = Math.floor((head * kvHeads) / heads) * D;
        const seen = visibleRows(t, T, seq, at, attrs.window);
        const scores = seen.map((j) => dot(q, i, k, j * KV + kv, D) * scale);
        const max = Math.max(...scores);
        const sum = scores.reduce((s, score) => s + Math.exp(score - max), 0);
        lse[t * heads + head] = max + Math.log(sum);
        seen.forEach((j, n) => {
          const p = Math.exp(scores[n] - max) / sum;
          for (let d = 0; d < D; d++) y[i + d] += p * v[j * KV + kv + d];
        });
      }
    }
  },

  vjp: ([dy], [q, k, v, seq, at], [y, lse], attrs) => {
    if (dy === undefined) return [];
    const all = once(() => dy.graph.emit(attentionGradOp, [dy, q, k, v, seq, at, y, lse], attrs));
    return [() => all()[0], () => all()[1], () => all()[2], undefined, undefined];
  },
};

/** dq, dk, dv, with the probabilities computed again from the log-sum-exp */
export const attentionGradOp: Op<AttentionAttrs> = {
  name: "attention_grad",
  takes: [f32, f32, f32, f32, i32, i32, f32, f32],
  gives: ["f32", "f32", "f32"],

  shapes: ([, q, k, v]) => [q, k, v].map((t) => rowsOf(t, t.shape[1])),

  run([dq, dk, dv], [dy, q, k, v, seq, at, y, lse], [, [T, width], [, KV]], attrs) {
    const { heads, kvHeads, window, scale } = attrs;
    const D = width / heads;
    for (const d of [dq, dk, dv]) d.fill(0);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < heads; head++) {
        const i = t * width + head * D;
        const kv = Math.floor((head * kvHeads) / heads) * D;
        const mean = dot(dy, i, y, i, D); // Σⱼ pⱼ · (dy · vⱼ)
        for (const row of visibleRows(t, T, seq, at, window)) {
          const j = row * KV + kv;
          const p = Math.exp(dot(q, i, k, j, D) * scale - lse[t * heads + head]);
          const dScore = p * (dot(dy, i, v, j, D) - mean) * scale;
          for (let d = 0; d < D; d++) {
            dq[i + d] += dScore * k[j + d];
            dk[j + d] += dScore * q[i + d];
            dv[j + d] += p * dy[i + d];
          }
        }
      }
    }
  },
};

function visibleRows(t: number, T: number, seq: Values, at: Values, window: number): number[] {
  const rows: number[] = [];
  for (let j = 0; j < T; j++) {
    const inside = at[j] <= at[t] && (window === 0 || at[j] > at[t] - window);
    if (seq[j] === seq[t] && inside) rows.push(j);
  }
  return rows;
}
