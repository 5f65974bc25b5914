// A folder of the tokenizer mistral-v1 with other settings and other files, loaded.

import { readFileSync } from "node:fs";
import {
  AutoTokenizer,
  type TokenizerLoadOptions,
} from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { folder } from "../checkpoint/craft.ts";
import { goldenJson, goldenPath } from "../golden-files.ts";

export type Json = Record<string, unknown>;
type Changes = {
  config?: (config: Json) => void;
  json?: (root: Json) => void;
  files?: Record<string, Json>;
  options?: TokenizerLoadOptions;
  /** Only tokenizer.model, no tokenizer.json. */
  pieces?: true;
};

/** mistral-v1 with other settings. */
export function load({
  config,
  json,
  files = {},
  options,
  pieces,
}: Changes): Promise<PreTrainedTokenizer> {
  const settings = goldenJson<Json>("tokenizers/mistral-v1/tokenizer_config.json");
  config?.(settings);
  const root = goldenJson<Json>("tokenizers/mistral-v1/tokenizer.json");
  json?.(root);
  const model = readFileSync(goldenPath("tokenizers/mistral-v1/tokenizer.model"));
  const own = pieces ? { "tokenizer.model": model } : { "tokenizer.json": JSON.stringify(root) };
  const all = { "tokenizer_config.json": settings, ...files };
  const texts = Object.entries(all).map(([name, value]) => [name, JSON.stringify(value)]);
  return AutoTokenizer.from_pretrained(folder({ ...own, ...Object.fromEntries(texts) }), options);
}

/** tokenizer_config.json without a list of added tokens, so that older files count. */
export const undeclared = (config: Json): void => void delete config.added_tokens_decoder;

/** What is kept of an added token. */
export const flagsOf = (t: PreTrainedTokenizer, id: number): object | undefined =>
  t.backend_tokenizer.added.get(id);
