// The options that the published declarations describe (test/package/surface.txt, which a test keeps equal to what is built), with their
// texts. Reads the file as text: a type's fields stand two spaces deep, each after its comment.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const surface = readFileSync(join(import.meta.dirname, "../../test/package/surface.txt"), "utf8");

/** Option → its text, of the types of these names. */
export function declaredOptions(...types: readonly string[]): Map<string, string> {
  return new Map(types.flatMap((type) => fieldsOf(type)));
}

function fieldsOf(type: string): [name: string, text: string][] {
  const bodies = surface.matchAll(
    new RegExp(`^(?:type|interface) ${type}(?:\\$\\d+)?\\b[^\\n]*\\{\\n([^]*?)^\\}`, "gm"),
  );
  const fields = [...bodies].flatMap(([, body]) => [
    ...body.matchAll(/^ {2}\/\*\*([^]*?)\*\/\n {2}(?:readonly )?(\w+)\??[:(]/gm),
  ]);
  if (fields.length === 0) throw new Error(`the declarations have no type ${type} with fields`);
  return fields.map(([, comment, name]) => [name, comment.replace(/\s*\n\s*\*?\s*/g, " ").trim()]);
}
