// A plain weight as another dtype holds it, before it is quantised: Transformers takes a model to its `dtype` first.

import type { StoredWeight } from "../checkpoint/stored-weight.ts";
import { findFormat } from "../formats/format.ts";

/** The weight with its rows rounded to that dtype (a plain format's name; "auto": as in the file). Others stay as they are. */
export function roundedTo(dtype: string, stored: StoredWeight): StoredWeight {
  const from = findFormat(stored.encoding);
  const to = findFormat(dtype);
  if (from === undefined || to === undefined || to.name === "f32" || to === from) return stored;
  return {
    ...stored,
    async readRows(begin, end, out) {
      await stored.readRows(begin, end, out);
      const bytes = new Uint8Array(to.bytes(out.length));
      to.pack(out, bytes);
      to.unpack(bytes, out);
    },
  };
}
