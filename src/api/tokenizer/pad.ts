// tokenizer.pad: fills rows of ids to one length, by the rules of Transformers 5.23. Rows longer than `max_length` stay as they are.
// Knows nothing of text.

import { InputError } from "../../errors.ts";
import { BatchEncoding } from "./batch-encoding.ts";
import { Tensor } from "../tensor/tensor.ts";
import { resolveLengths, wantsTensors, type PadOptions } from "./tokenizer-options.ts";
import type { CallSettings } from "./tokenizer-call.ts";

type Row = ArrayLike<number>;

/** Fields of one row or of several; `input_ids` is one of them. */
export type PadInput = { input_ids: Tensor | Row | readonly Row[] } & object;

const WHERE = "tokenizer.pad";

/** The filling of each field; other fields are not filled. */
const FILLINGS: Readonly<Record<string, (padId: number) => number>> = {
  input_ids: (padId) => padId,
  attention_mask: () => 0,
  token_type_ids: () => 0,
  special_tokens_mask: () => 1,
};

/** See PreTrainedTokenizer.pad. @throws InputError no padding token, fields with different numbers of rows */
export function padRows(
  encoded: PadInput | readonly PadInput[],
  options: PadOptions,
  settings: CallSettings,
): BatchEncoding {
  const { fields, batched } = readFields(encoded);
  const { padding, maxLength, multiple, paddingSide } = resolveLengths(
    WHERE,
    { truncation: false, ...options, padding: options.padding ?? true },
    settings,
  );
  const ids = fields.get("input_ids") ?? [];
  const rows = ids.length;
  const mask =
    options.return_attention_mask ?? settings.model_input_names.includes("attention_mask");
  if (mask && !fields.has("attention_mask")) {
    fields.set(
      "attention_mask",
      ids.map((row) => row.map(() => 1)),
    );
  }
  for (const [name, list] of fields) {
    if (list.length !== rows) {
      throw new InputError(`${WHERE}: ${name} has ${list.length} rows and input_ids ${rows}`);
    }
  }
  let length = padding === "longest" ? Math.max(0, ...ids.map((r) => r.length)) : (maxLength ?? 0);
  if (multiple) length = Math.ceil(length / multiple) * multiple;
  const data = [...fields].map(([name, list]): [string, number[][]] => {
    const filling = Object.hasOwn(FILLINGS, name)
      ? FILLINGS[name](settings.pad_token_id ?? 0)
      : undefined;
    const kept = name === "attention_mask" && !mask;
    if (padding === undefined || filling === undefined || kept) return [name, list];
    return [
      name,
      list.map((row, i) => {
        const missing = Array.from({ length: Math.max(length - ids[i].length, 0) }, () => filling);
        return paddingSide === "right" ? [...row, ...missing] : [...missing, ...row];
      }),
    ];
  });
  if (wantsTensors(WHERE, options)) {
    const tensors = data.map(([name, list]) => [name, Tensor.from(list, "int32")]);
    return new BatchEncoding(Object.fromEntries(tensors));
  }
  const lists = data.map(([name, list]) => [name, batched ? list : list[0]]);
  return new BatchEncoding(Object.fromEntries(lists));
}

function readFields(encoded: PadInput | readonly PadInput[]): {
  fields: Map<string, number[][]>;
  batched: boolean;
} {
  const fields = new Map<string, number[][]>();
  if (Array.isArray(encoded)) {
    const names = encoded.length === 0 ? ["input_ids"] : Object.keys(encoded[0]);
    for (const name of names) {
      fields.set(
        name,
        encoded.map((row: object, i) => flatRow(Object.entries(row), name, i)),
      );
    }
    return { fields, batched: true };
  }
  let batched = true;
  for (const [name, value] of Object.entries(encoded)) {
    const list = (value instanceof Tensor ? value.tolist() : value) as readonly unknown[];
    if (name === "input_ids") batched = isNested(list) || list.length === 0;
    fields.set(
      name,
      (isNested(list) ? list : [list]).map((row) => Array.from(row as Row)),
    );
  }
  if (fields.has("input_ids")) return { fields, batched };
  throw new InputError(`${WHERE}: no input_ids among ${[...fields.keys()].join(", ")}`);
}

function flatRow(entries: readonly [string, unknown][], name: string, i: number): number[] {
  const value = entries.find(([key]) => key === name)?.[1];
  const row = value instanceof Tensor ? value.data : value;
  if (Array.isArray(row) || ArrayBuffer.isView(row)) return Array.from(row as unknown as Row);
  throw new InputError(`${WHERE}: element ${i} has no row ${name}`);
}

function isNested(list: readonly unknown[]): boolean {
  return list.length > 0 && typeof list[0] === "object";
}
