// Model settings of v15: how much a model thinks and the JSON schema of its answer, which stand as JSON before a user message. A
// tekken.json says which settings its model knows. Knows nothing of messages.

import { CheckpointError } from "../../errors.ts";
import type { Fields } from "../json-fields.ts";
import { Dict, type Value } from "../template/values.ts";
import { schemaProblem } from "./json-schema.ts";
import { pythonValue } from "./python-json.ts";
import { refusal } from "./refusal.ts";

/** The settings that a model knows. */
export type KnownSettings = {
  /** The values of reasoning_effort, and the one that counts when a request gives none. */
  effort: { values: readonly string[]; otherwise: string } | undefined;
  /** Whether the answer's schema is written. */
  schema: boolean;
};

/** What a request says of its settings. */
export type SettingsRequest = { reasoning_effort?: string | null; response_format?: object };

/** The field model_settings_builder of a tekken.json. @throws CheckpointError it is malformed */
export function readKnownSettings(builder: Fields): KnownSettings {
  const known: KnownSettings = { effort: undefined, schema: builder.has("json_schema") };
  if (!builder.has("reasoning_effort")) return known;
  const fields = builder.object("reasoning_effort");
  const values = fields.array("values").map(String);
  const otherwise = fields.string("default");
  if (!values.includes(otherwise)) {
    const list = values.join(", ");
    throw new CheckpointError(
      `${fields.where}: default is "${otherwise}"; expected one of ${list}`,
    );
  }
  return { ...known, effort: { values, otherwise } };
}

/** The settings to write before a user message; undefined: none. @throws InputError a value that the model does not know */
export function settingsOf(
  known: KnownSettings,
  request: SettingsRequest,
  where: string,
): Dict | undefined {
  const entries: [string, Value][] = [];
  if (known.schema) {
    const schema = answerSchema(request.response_format ?? {}, `${where}: response_format`);
    if (schema !== undefined) entries.push(["json_schema", schema]);
  }
  const effort = request.reasoning_effort ?? known.effort?.otherwise;
  if (effort !== undefined) {
    const values = known.effort?.values ?? [];
    if (!values.includes(effort)) {
      const expected =
        values.length === 0
          ? "this model has no such setting"
          : `expected one of ${values.join(", ")}`;
      const problem = `reasoning_effort is ${JSON.stringify(effort)}; ${expected}`;
      throw refusal(where, "InvalidRequestException", problem);
    }
    entries.push(["reasoning_effort", effort]);
  }
  return entries.length === 0 ? undefined : new Dict(entries);
}

/** The schema that an answer must have; undefined: any text. */
function answerSchema(format: object, where: string): Dict | undefined {
  const data = format as { type?: unknown; json_schema?: { schema?: unknown } | null };
  const type = data.type ?? "text";
  if (type === "text") return undefined;
  if (type === "json_object") {
    const anyOf = ["object", "array"].map((name) => new Dict([["type", name]]));
    return new Dict([["anyOf", anyOf]]);
  }
  const schema = type === "json_schema" ? pythonValue(data.json_schema?.schema, where) : undefined;
  if (!(schema instanceof Dict)) {
    const expected =
      '{ type: "text" }, { type: "json_object" } or { type: "json_schema", json_schema: { name, schema } }';
    throw refusal(where, "ValidationError", `expected ${expected}`);
  }
  const problem = schemaProblem(schema);
  if (problem !== undefined) throw refusal(where, "ValidationError", `no JSON schema: ${problem}`);
  return schema;
}
