// Token embedding: a row of the table for each id.

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { f32, i32, weight } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** y [T, H] = table[ids] · ids [T] i32, table [V, H]; the row of `padding` gets no gradient, as in PyTorch (null: every row does) */
export const embed = (ids: Tensor, table: Tensor, padding: number | null = null): Tensor =>
  ids.graph.emit(embedOp, [ids, table], { padding: padding ?? -1 })[0];

export const embedOp: Op<{ padding: number }> = {
  name: "embed",
  takes: [i32, weight],
  gives: ["f32"],

  shapes([ids, table]) {
    expect(ids.shape.length === 1, "embed", [ids, table], "ids must be [T]");
    expect(table.shape.length === 2, "embed", [ids, table], "the table must be [V, H]");
    return [rowsOf(ids, table.shape[1])];
  },

  run([y], [ids, table], [[T], [, H]]) {
    for (let t = 0; t < T; t++) {
      for (let h = 0; h < H; h++) y[t * H + h] = table[ids[t] * H + h];
    }
  },

  vjp: ([dy], [ids, table], _outs, { padding }) => [
    undefined,
    dy && (() => dy.graph.emit(embedGradTableOp, [dy, ids], { V: table.shape[0], padding })[0]),
  ],
};

/** dTable [V, H] = Σ of dy [T, H] over the rows with that id; 0 for `padding` */
export const embedGradTableOp: Op<{ V: number; padding: number }> = {
  name: "embed_grad_table",
  takes: [f32, i32],
  gives: ["f32"],

  shapes: ([dy], { V }) => [{ shape: [V, dy.shape[1]], live: undefined }],

  run([dTable], [dy, ids], [[T, H]], { padding }) {
    dTable.fill(0);
    for (let t = 0; t < T; t++) {
      if (ids[t] === padding) continue;
      for (let h = 0; h < H; h++) dTable[ids[t] * H + h] += dy[t * H + h];
    }
  },
};
