// JSON in which numbers that Python reads as floats stay floats: 2.0 is no 2. Knows no files.

import { Float } from "../src/text/chat-template.ts";

export function parseWithFloats<T>(json: string): T {
  return JSON.parse(json, (_, value: unknown, { source }: { source?: string } = {}) =>
    typeof value === "number" && source !== undefined && /[.eE]/.test(source)
      ? new Float(value)
      : value,
  ) as T;
}
