// Token ids as callers give them: one, a row or several rows, as numbers, bigints, arrays or tensors. Knows nothing of tokens.

import { InputError } from "../../errors.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Ids of one row or of several. */
export type IdsInput =
  | number
  | bigint
  | Tensor
  | ArrayLike<number>
  | ArrayLike<bigint>
  | readonly ArrayLike<number>[];

/** Whether ids are those of several rows. */
export function isBatch(ids: unknown): ids is ArrayLike<unknown> {
  if (!Array.isArray(ids) || ids.length === 0) return false;
  return Array.isArray(ids[0]) || ArrayBuffer.isView(ids[0]) || ids[0] instanceof Tensor;
}

/** Ids as numbers. @throws InputError */
export function idsOf(row: unknown): number[] {
  const list = row instanceof Tensor ? row.data : row;
  const values = typeof list === "number" || typeof list === "bigint" ? [list] : list;
  if (!Array.isArray(values) && !ArrayBuffer.isView(values)) {
    throw new InputError("tokenizer: expected token ids as a number, an array or a Tensor");
  }
  return Array.from(values as ArrayLike<unknown>, (id, i) => {
    const number = typeof id === "bigint" ? Number(id) : id;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
    throw new InputError(`tokenizer: id ${i} is ${String(id)}; expected an integer of 0 or more`);
  });
}
