// Rounds a plain weight to the model's `dtype` before it is quantised, since Transformers converts a model to its `dtype` first.

import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";

/** The weight, with rows rounded to that dtype (a plain format's name, or "auto": the one in the file). A quantised weight stays as it is. */
export function roundedTo(dtype: string, stored: StoredWeight): StoredWeight {
  const from = findFormat(stored.encoding);
  const to = findFormat(dtype);
  if (from === undefined || to === undefined || to.name === "f32" || to === from) return stored;
  return {
    ...stored,
    ...(stored.plain && { plain: { ...stored.plain, rounded: to } }),
    async readRows(begin, end, out) {
      await stored.readRows(begin, end, out);
      const bytes = new Uint8Array(to.bytes(out.length));
      to.pack(out, bytes);
      to.unpack(bytes, out);
    },
  };
}
