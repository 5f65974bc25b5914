// Length, slices and order of strings in Unicode code points, as Python counts them. JavaScript counts UTF-16 units.
// Without surrogates both agree, and the native operations are used. Knows nothing of templates.

const SURROGATE = /[\ud800-\udfff]/;

const hasPairs = (text: string): boolean => SURROGATE.test(text);

export function codePointLength(text: string): number {
  if (!hasPairs(text)) return text.length;
  let count = 0;
  for (let i = 0; i < text.length; i++, count++) if (isPair(text, i)) i++;
  return count;
}

function isPair(text: string, i: number): boolean {
  const low = text.charCodeAt(i + 1);
  return (text.charCodeAt(i) & 0xfc00) === 0xd800 && (low & 0xfc00) === 0xdc00;
}

/** The UTF-16 offset of code point number `index`, which lies in [0, length]. */
export function offsetOf(text: string, index: number): number {
  if (!hasPairs(text)) return Math.min(index, text.length);
  let offset = 0;
  for (let i = 0; i < index && offset < text.length; i++) offset += isPair(text, offset) ? 2 : 1;
  return offset;
}

/** Code points [start, stop), both in [0, length]. */
export function codePointSlice(text: string, start: number, stop: number): string {
  if (stop <= start) return "";
  if (!hasPairs(text)) return text.slice(start, stop);
  const from = offsetOf(text, start);
  const rest = text.slice(from);
  return rest.slice(0, offsetOf(rest, stop - start));
}

/** The number of the code point at a UTF-16 offset. */
export const indexAt = (text: string, offset: number): number =>
  codePointLength(text.slice(0, offset));

/** Negative, 0 or positive, by code points. */
export function compareCodePoints(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  if (a === b) return 0;
  if (!hasPairs(a) && !hasPairs(b)) return a < b ? -1 : 1;
  for (let i = 0; i < shared; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others, but their units lie below U+E000. */
const rank = (unit: number): number =>
  unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
