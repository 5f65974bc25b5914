// Turns what users pass (tensors, nested arrays, a tokenizer's output) into the flat typed arrays that the engine takes. Checks all
// values, so that a wrong input fails before anything runs. B batch, S tokens, H hidden. Does not know what a model does with them.

import { checkOptions } from "../../did-you-mean.ts";
import { InputError } from "../../errors.ts";
import type { MistralConfig } from "../../models/config.ts";
import { refusePromise } from "../forgotten-await.ts";
import { type NestedInput, Tensor } from "../tensor/tensor.ts";

/** A batch of ids or embeddings, checked. */
export type Batch = {
  readonly B: number;
  readonly S: number;
  readonly ids?: Int32Array;
  readonly embeds?: Float32Array;
};

/**
 * `input_ids` [B, S] (or [S], a batch of one), or `inputs_embeds` [B, S, H]: exactly one of them.
 * @throws InputError both or none, a wrong shape, an id outside [0, vocab_size)
 */
export function readBatch(
  where: string,
  input_ids: NestedInput | undefined | null,
  inputs_embeds: NestedInput | undefined | null,
  c: MistralConfig,
): Batch {
  if ((input_ids == null) === (inputs_embeds == null)) {
    const remedy =
      input_ids == null ? '; pass what tokenizer(text, { return_tensors: "pt" }) gives' : "";
    throw new InputError(`${where}: give exactly one of input_ids and inputs_embeds${remedy}`);
  }
  if (input_ids != null) {
    const { dims, data } = integers(where, "input_ids", input_ids);
    const [B, S] = batchOf(where, "input_ids", dims);
    const wrong = data.findIndex((id) => id < 0 || id >= c.vocab_size);
    if (wrong >= 0) {
      throw new InputError(
        `${where}: input_ids: id ${data[wrong]} at row ${Math.floor(wrong / S)}, column ${wrong % S} is outside [0, ${c.vocab_size}); ` +
          "does the tokenizer belong to this model?",
      );
    }
    return { B, S, ids: data };
  }
  const { dims, data } = Tensor.from(inputs_embeds as NestedInput, "float32");
  if (dims.length !== 3 || dims[2] !== c.hidden_size || dims[0] * dims[1] === 0) {
    throw new InputError(
      `${where}: inputs_embeds [${dims.join(", ")}]: expected [B, S, ${c.hidden_size}]`,
    );
  }
  return { B: dims[0], S: dims[1], embeds: data as Float32Array };
}

/** `attention_mask` [B, T] of 0 and 1, cached columns included; undefined if absent. @throws InputError */
export function readMask(
  where: string,
  attention_mask: NestedInput | undefined | null,
  B: number,
  T: number,
): Uint8Array | undefined {
  if (attention_mask == null) return undefined;
  const { dims, data } = integers(where, "attention_mask", attention_mask);
  const [rows, columns] = batchOf(where, "attention_mask", dims);
  if (rows !== B || columns !== T) {
    throw new InputError(
      `${where}: attention_mask [${rows}, ${columns}]: expected [${B}, ${T}], one column per token, those in past_key_values included`,
    );
  }
  if (data.some((m) => m !== 0 && m !== 1)) {
    throw new InputError(`${where}: attention_mask: expected 0 (padding) and 1 (token) only`);
  }
  return Uint8Array.from(data);
}

/** Integers [B, S] (or [1, S], repeated) from `low` to `high`, such as `position_ids` or `labels`; undefined if absent. @throws InputError */
export function readGrid(
  where: string,
  name: string,
  value: NestedInput | undefined | null,
  { B, S }: Batch,
  [low, high]: readonly [number, number],
): Int32Array | undefined {
  if (value == null) return undefined;
  const { dims, data } = integers(where, name, value);
  const [rows, columns] = batchOf(where, name, dims);
  if ((rows !== B && rows !== 1) || columns !== S) {
    throw new InputError(`${where}: ${name} [${rows}, ${columns}]: expected [${B}, ${S}]`);
  }
  const wrong = data.find((n) => (n < low || n > high) && !(name === "labels" && n === -100));
  if (wrong !== undefined) {
    throw new InputError(`${where}: ${name}: ${wrong} is outside [${low}, ${high}]`);
  }
  if (rows === B) return data;
  return Int32Array.from({ length: B * S }, (_, i) => data[i % S]);
}

/**
 * One integer for each of B rows, [B] or [B, 1]; without `B` of any length.
 * @throws InputError another shape, or a number that is no integer
 */
export function readRowIntegers(
  where: string,
  name: string,
  value: NestedInput,
  B?: number,
): Int32Array {
  const { dims, data } = integers(where, name, value);
  const isColumn = dims.length === 1 || (dims.length === 2 && dims[1] === 1);
  if (isColumn && (B === undefined || dims[0] === B)) return data;
  throw new InputError(
    `${where}: ${name} [${dims.join(", ")}]: expected [${B ?? "B"}], one number for each row`,
  );
}

/** A number above 0, such as `num_items_in_batch`; undefined if absent. @throws InputError */
export function readCount(
  where: string,
  name: string,
  value: number | undefined | null,
): number | undefined {
  if (value == null || value > 0) return value ?? undefined;
  throw new InputError(`${where}: ${name}: ${value}: expected a number above 0`);
}

/** A list of row numbers below `count`. @throws InputError */
export function readIndices(
  where: string,
  name: string,
  value: NestedInput,
  count: number,
): Int32Array {
  const { dims, data } = integers(where, name, value);
  const wrong = data.find((index) => index < 0 || index >= count);
  if (dims.length !== 1 || data.length === 0 || wrong !== undefined) {
    const came = wrong === undefined ? `[${dims.join(", ")}]` : String(wrong);
    throw new InputError(`${where}: ${name}: ${came}: expected rows from 0 to ${count - 1}`);
  }
  return data;
}

/** All of S columns: those whose logits are wanted where a model has a result for each token. */
export const allColumns = (S: number): Int32Array => Int32Array.from({ length: S }, (_, i) => i);

/** The columns whose logits are wanted, from `logits_to_keep`: 0 means all, n the last n; or indices. @throws InputError */
export function readKeep(
  where: string,
  keep: NestedInput | undefined | null,
  S: number,
): Int32Array {
  if (keep == null || typeof keep === "number") {
    const count = keep ?? 0;
    if (!Number.isInteger(count) || count < 0) {
      throw new InputError(
        `${where}: logits_to_keep: ${count}: expected 0 (all), a number of last columns, or indices`,
      );
    }
    const kept = count === 0 ? S : Math.min(count, S);
    return Int32Array.from({ length: kept }, (_, i) => S - kept + i);
  }
  const { dims, data } = integers(where, "logits_to_keep", keep);
  const columns = data.map((column) => (column < 0 ? S + column : column));
  const wrong = columns.findIndex((column) => column < 0 || column >= S);
  if (dims.length !== 1 || wrong >= 0) {
    throw new InputError(
      `${where}: logits_to_keep: expected indices within [${-S}, ${S})${wrong < 0 ? "" : `, got ${data[wrong]}`}`,
    );
  }
  return columns;
}

/**
 * Checks that inputs are an object (plain, or a tokenizer's output) with known keys only.
 * @throws InputError no object, or an unknown key
 */
export function checkInputs(where: string, inputs: object, known: ReadonlySet<string>): void {
  refusePromise(where, inputs);
  if (Array.isArray(inputs) || typeof inputs === "string") refuseTexts(where, "the input", inputs);
  if (typeof inputs !== "object" || inputs === null || Array.isArray(inputs)) {
    throw new InputError(
      `${where}: got ${String(inputs)}; expected an object such as { input_ids, attention_mask }`,
    );
  }
  checkOptions(where, inputs, known);
}

/** Refuses what should first have become ids. @throws InputError */
function refuseTexts(where: string, name: string, value: unknown): void {
  let first: unknown = value;
  while (Array.isArray(first)) first = first[0] as unknown;
  if (typeof first === "string") {
    const call = where === "forward" ? "model" : `model.${where}`;
    throw new InputError(
      `${where}: ${name} is ${Array.isArray(value) ? "a list of texts" : "a text"}, expected a number for each token; tokenise first: ` +
        `${call}(tokenizer(text, { return_tensors: "pt" }))`,
    );
  }
  if (typeof first === "object" && first !== null && "role" in first) {
    throw new InputError(
      `${where}: ${name} is a conversation, expected a number for each token; make them first: ` +
        'tokenizer.apply_chat_template(messages, { add_generation_prompt: true, return_tensors: "pt" })',
    );
  }
}

function integers(
  where: string,
  name: string,
  value: NestedInput,
): { dims: readonly number[]; data: Int32Array } {
  refusePromise(`${where}: ${name}`, value);
  refuseTexts(where, name, value);
  const tensor = Tensor.from(value);
  if (tensor.dtype === "float32" || tensor.dtype === "float64") {
    const wrong = tensor.data.find((n) => !Number.isInteger(n) || Math.abs(n) >= 2 ** 31);
    if (wrong !== undefined) {
      throw new InputError(`${where}: ${name}: ${wrong} is no integer of 32 bits`);
    }
  }
  const data = tensor.data instanceof Int32Array ? tensor.data : Int32Array.from(tensor.data);
  return { dims: tensor.dims, data };
}

function batchOf(where: string, name: string, dims: readonly number[]): [B: number, S: number] {
  const [B, S] = dims.length === 1 ? [1, dims[0]] : dims;
  if (dims.length < 1 || dims.length > 2 || B * S === 0) {
    throw new InputError(
      `${where}: ${name} [${dims.join(", ")}]: expected [B, S] with at least one token`,
    );
  }
  return [B, S];
}
