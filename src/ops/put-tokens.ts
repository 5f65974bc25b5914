// Keeps chosen tokens on the device, so that the next step can read them there (pick_ids) while the host has not seen them.

import type { Op, Tensor } from "../graph/graph.ts";
import { i32 } from "./dtypes.ts";
import { expect } from "./shapes.ts";

/** tokens [S] i32, a state: tokens[slots[n]] becomes token[n]; token, slots [N] i32 (slot −1: not kept; no slot twice) */
export const putTokens = (tokens: Tensor, token: Tensor, slots: Tensor): void => {
  token.graph.emit(putTokensOp, [tokens, token, slots], {});
};

export const putTokensOp: Op<object> = {
  name: "put_tokens",
  takes: [i32, i32, i32],
  gives: [],

  writes: [0],

  shapes(ins) {
    const [, token, slots] = ins;
    expect(
      ins.every(({ shape }) => shape.length === 1) && token.shape[0] === slots.shape[0],
      "put_tokens",
      ins,
      "tokens must be [S], token and slots [N]",
    );
    return [];
  },

  run(_outs, [tokens, token, slots], [, [N]]) {
    for (let n = 0; n < N; n++) if (slots[n] >= 0) tokens[slots[n]] = token[n];
  },
};
