// A value as error messages show it: what came in place of what was expected.

/** JSON's text, shortened if it is long; NaN and infinities by their names; what JSON has no text for by its type. */
export function showValue(value: unknown): string {
  if (Array.isArray(value) && value.length > 8) return `a list of ${value.length}`;
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length <= 80 ? text : `${text.slice(0, 60)}… (${text.length} characters)`;
}
