// The ids of a step's rows: given by the host, or a token that an earlier step chose and kept on the device (put_tokens).

import { type Op, rowsOf, type Tensor } from "../graph/graph.ts";
import { i32 } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** y [T] i32 = ids [T] where from [T] is −1, else tokens [S] at `from`; all i32 */
export const pickIds = (ids: Tensor, tokens: Tensor, from: Tensor): Tensor =>
  ids.graph.emit(pickIdsOp, [ids, tokens, from], {})[0];

export const pickIdsOp: Op<object> = {
  name: "pick_ids",
  takes: [i32, i32, i32],
  gives: ["i32"],

  shapes(ins) {
    const [ids, , from] = ins;
    expect(
      ins.every(({ shape }) => shape.length === 1) && ids.shape[0] === from.shape[0],
      "pick_ids",
      ins,
      "tokens must be [S], ids and from [T]",
    );
    return [rowsOf(ids)];
  },

  run([y], [ids, tokens, from], [[T]]) {
    for (let t = 0; t < T; t++) y[t] = from[t] < 0 ? ids[t] : tokens[from[t]];
  },
};
