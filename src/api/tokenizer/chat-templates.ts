// The chat templates of a tokenizer, and which of them a call uses, as in Transformers 5.23. Knows nothing of what is in one.

import { InputError } from "../../errors.ts";

/** One template, or several by name. */
export type ChatTemplates = string | Record<string, string>;

/**
 * The template of a call.
 *
 * @param own   the tokenizer's
 * @param name  the name of one of several, or a template itself; null: "tool_use" when there are tools, else "default"
 * @throws InputError there is none, or several and none is "default"
 */
export function chooseTemplate(
  own: ChatTemplates | null,
  name: string | null,
  tools: readonly object[] | null,
): string {
  if (own === null || typeof own === "string") {
    const template = name ?? own;
    if (template !== null) return template;
    throw new InputError(
      "apply_chat_template: the tokenizer has no chat_template; set tokenizer.chat_template or pass chat_template",
    );
  }
  if (name !== null) return Object.hasOwn(own, name) ? own[name] : name;
  if (tools !== null && Object.hasOwn(own, "tool_use")) return own.tool_use;
  if (Object.hasOwn(own, "default")) return own.default;
  const names = Object.keys(own).toSorted().join(", ");
  throw new InputError(
    `apply_chat_template: there are several templates and none is the default; pass chat_template (${names})`,
  );
}
