// save_pretrained of a tokenizer: tokenizer.json, tokenizer_config.json and its chat template, as Transformers 5 reads
// them. Does not know how they are read here.

import { joinPath, writeText } from "#platform";
import type { Side } from "../../text/encoding.ts";
import type { TextTokenizer } from "../../text/tokenizer.ts";
import { writeTokenizerJson } from "../../text/write-tokenizer-json.ts";
import type { ChatTemplates } from "./chat-templates.ts";
import { SPECIAL_TOKEN_NAMES } from "./special-tokens.ts";

/** What is saved of a tokenizer. */
export type TokenizerToSave = {
  readonly backend_tokenizer: TextTokenizer;
  readonly special_tokens_map: Record<string, string>;
  readonly extra_special_tokens: readonly string[];
  readonly chat_template: ChatTemplates | null;
  readonly model_max_length: number;
  readonly model_input_names: readonly string[];
  readonly padding_side: Side;
  readonly truncation_side: Side;
  readonly split_special_tokens: boolean;
};

const COMMON: ReadonlySet<string> = new Set(SPECIAL_TOKEN_NAMES);

/** Writes the files into a folder. @returns their paths. @throws CheckpointError a file cannot be written */
export async function saveTokenizer(tokenizer: TokenizerToSave, dir: string): Promise<string[]> {
  const { chat_template: templates } = tokenizer;
  const named = typeof templates === "object" && templates !== null;
  const declared = [...tokenizer.backend_tokenizer.added].map(([id, token]) => [id, token]);
  const own = Object.fromEntries(
    Object.entries(tokenizer.special_tokens_map).filter(([name]) => !COMMON.has(name)),
  );
  const config = {
    added_tokens_decoder: Object.fromEntries(declared) as object,
    ...tokenizer.special_tokens_map,
    ...(Object.keys(own).length > 0 && { model_specific_special_tokens: own }),
    extra_special_tokens: tokenizer.extra_special_tokens,
    model_max_length: tokenizer.model_max_length,
    model_input_names: tokenizer.model_input_names,
    padding_side: tokenizer.padding_side,
    truncation_side: tokenizer.truncation_side,
    split_special_tokens: tokenizer.split_special_tokens,
    clean_up_tokenization_spaces: false,
    tokenizer_class: "TokenizersBackend",
    ...(named && {
      chat_template: Object.entries(templates).map(([name, template]) => ({ name, template })),
    }),
  };
  const files: [string, string][] = [
    ["tokenizer.json", writeTokenizerJson(tokenizer.backend_tokenizer)],
    ["tokenizer_config.json", `${JSON.stringify(config, undefined, 2)}\n`],
  ];
  if (typeof templates === "string") files.push(["chat_template.jinja", templates]);
  const paths: string[] = [];
  for (const [name, text] of files) {
    const path = joinPath(dir, name);
    await writeText(path, text);
    paths.push(path);
  }
  return paths;
}
