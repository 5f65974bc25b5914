// What differs between the versions of mistral-common's encodings, as one table. The files beside this one ask it; none of them compares
// version numbers. Knows no tokens.

import type { EncodingVersion } from "./version.ts";

export type VersionRules = {
  version: EncodingVersion;
  /** Where tools are written: before the last user message or before the first one; undefined: they are left out. */
  tools: "first" | "last" | undefined;
  /** "inUser": into a user message, the first one in v1 and the last one later; "own": in control tokens of its own, where it stands. */
  system: "inFirstUser" | "inLastUser" | "own";
  /** "one": one result for each turn of the assistant, by its name; "json": JSON with the call's id; "tokens": id and result between control tokens; "bare": the result alone. */
  toolResults: "refused" | "one" | "json" | "tokens" | "bare";
  /** "json": all calls of a message as one JSON text; "tokens": name, id and arguments between control tokens; "bare": without ids. */
  toolCalls: "refused" | "json" | "jsonWithIds" | "tokens" | "bare";
  /** Calls and results of tools before the last user message are left out. */
  forgetsTools: boolean;
  /** Spaces at the end of what the assistant said are left out. */
  trimsAssistant: boolean;
  /** An assistant's message may have both text and calls. */
  textBesideCalls: boolean;
  /** What the id of a tool call must be: nine letters and digits, or only something. */
  callId: "any" | "nine" | "some";
  /** Calls and results are matched by their ids, not only counted; results are put into the order of the calls. */
  matchesIds: boolean;
  /** Whether [THINK] and [/THINK] can stand around thoughts. */
  encodesThoughts: boolean;
  /** Thoughts may stand in messages of these roles; before v13 mistral-common accepts them, and then cannot encode them. */
  thinks: readonly ("assistant" | "system")[];
  /** What joins the text parts of one message. Messages of one role in a row are always joined by an empty line. */
  joinsParts: string;
  /** Results of tools that are JSON are written anew, as Python writes JSON. */
  rewritesResults: boolean;
  /** Model settings (reasoning_effort, the schema of the answer) are written before a user message. */
  settings: boolean;
  /** Older messages can be dropped to fit a length. */
  truncates: boolean;
};

const v1: VersionRules = {
  version: "v1",
  tools: undefined,
  system: "inFirstUser",
  toolResults: "refused",
  toolCalls: "refused",
  forgetsTools: false,
  trimsAssistant: false,
  textBesideCalls: false,
  callId: "any",
  matchesIds: false,
  encodesThoughts: false,
  thinks: [],
  joinsParts: "\n\n",
  rewritesResults: true,
  settings: false,
  truncates: false,
};
const v2: VersionRules = {
  ...v1,
  version: "v2",
  tools: "last",
  system: "inLastUser",
  toolResults: "one",
  toolCalls: "json",
  forgetsTools: true,
  trimsAssistant: true,
};
const v3: VersionRules = {
  ...v2,
  version: "v3",
  toolResults: "json",
  toolCalls: "jsonWithIds",
  forgetsTools: false,
  callId: "nine",
};
const v7: VersionRules = {
  ...v3,
  version: "v7",
  system: "own",
  toolResults: "tokens",
  textBesideCalls: true,
  thinks: ["system"],
  rewritesResults: false,
  truncates: true,
};
const v11: VersionRules = {
  ...v7,
  version: "v11",
  toolCalls: "tokens",
  matchesIds: true,
  thinks: ["assistant", "system"],
};
const v13: VersionRules = {
  ...v11,
  version: "v13",
  tools: "first",
  toolResults: "bare",
  toolCalls: "bare",
  callId: "some",
  encodesThoughts: true,
};
const v15: VersionRules = {
  ...v13,
  version: "v15",
  thinks: ["assistant"],
  joinsParts: "",
  settings: true,
};

const RULES: Readonly<Record<EncodingVersion, VersionRules>> = { v1, v2, v3, v7, v11, v13, v15 };

export function rulesOf(version: EncodingVersion): VersionRules {
  return RULES[version];
}
