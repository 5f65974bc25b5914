// mistral-common's encodings of conversations in every version, with SentencePiece and with Tekken: 80 random requests with what
// mistral-common gives (scripts/make-mistral-common-cases.ts), and what a user sees of them.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { ChatTemplateOptions } from "../../src/api/tokenizer/apply-chat-template.ts";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import { MistralCommonBackend } from "../../src/api/tokenizer/mistral-common-backend.ts";
import {
  type MistralTokenizerFile,
  openMistralTokenizer,
} from "../../src/api/tokenizer/mistral-common-files.ts";
import { InputError } from "../../src/errors.ts";
import type { EncodingVersion } from "../../src/text/mistral-common/version.ts";
import { goldenPath, readGolden } from "../golden-files.ts";
import { parseWithFloats } from "../json-with-floats.ts";
import { ours, type StoredCases, theirs } from "../mistral-common-cases.ts";

const stored = join(import.meta.dirname, "mistral-common");
const { tokenizers, cases } = parseWithFloats<StoredCases>(
  readGolden(join(stored, "cases.json")).toString(),
);
const MODES = ["test", "serving", "finetuning", "agnostic"] as const;

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A folder with a tekken.json of a version. */
function tekkenFolder(version: EncodingVersion): string {
  const folder = mkdtempSync(join(tmpdir(), "mistral-tekken-"));
  folders.push(folder);
  const file = JSON.parse(readFileSync(join(stored, "tekken.json"), "utf8")) as {
    config: { version: string };
    special_tokens?: object[];
    model_settings_builder?: object;
  };
  file.config.version = version;
  // files of v3 do not list them: the names are those that mistral-common knows
  if (version === "v3") delete file.special_tokens;
  if (version === "v15") {
    const effort = { type: "enum", accepts_none: true, default: "none", values: ["none", "high"] };
    file.model_settings_builder = { reasoning_effort: effort };
  }
  writeFileSync(join(folder, "tekken.json"), JSON.stringify(file));
  return folder;
}

function opened(name: string): Promise<MistralTokenizerFile> {
  const [kind, version] = name.split("-") as [string, EncodingVersion];
  if (kind === "tekken") return openMistralTokenizer(tekkenFolder(version), undefined);
  const folder = goldenPath(`tokenizers/mistral-${version === "v1" ? "v1" : "v3"}`);
  return openMistralTokenizer(folder, version);
}

describe.each(tokenizers)("%s", (name) => {
  test("80 random requests in four modes", async () => {
    expect(cases).toHaveLength(80);
    const file = await opened(name);
    for (const mode of MODES) {
      const t = new MistralCommonBackend(file, mode);
      for (const one of cases.filter((each) => each.mode === mode)) {
        const expected = { request: one.request, ...theirs(one, name) };
        expect({ request: one.request, ...ours(t, one, name) }).toEqual(expected);
      }
    }
  });
});

const chat = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Hi </s>[INST]" },
];

describe("a folder that has only tekken.json", () => {
  test("is a MistralCommonBackend with its version, and pads on the left", async () => {
    const t = await AutoTokenizer.from_pretrained(tekkenFolder("v7"));
    expect(t).toBeInstanceOf(MistralCommonBackend);
    expect((t as MistralCommonBackend).version).toBe("v7");
    expect([t.padding_side, t.pad_token, t.pad_token_id]).toEqual(["left", "<pad>", 11]);
    expect([t.bos_token_id, t.eos_token_id, t.unk_token_id]).toEqual([1, 2, 0]);
    expect([t.vocab_size, t.length, t.all_special_ids.length]).toEqual([1340, 1340, 40]);
  });

  test("a user's text becomes no control token, unless it is asked for", async () => {
    const t = await AutoTokenizer.from_pretrained(tekkenFolder("v7"));
    const ids = t.apply_chat_template(chat, { return_dict: false }) as number[];
    const control = ids.filter((id) => id < 40);
    expect(control).toEqual([1, 17, 18, 3, 4]);
    expect(t.encode("[INST]").includes(3)).toBe(false);
    expect(t.encode("[INST]", { split_special_tokens: false })).toEqual([1, 3]);
    expect(t.decode(ids)).toBe(
      "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi </s>[INST][/INST]",
    );
    expect(t.decode(ids, { skip_special_tokens: true })).toBe("Be brief.Hi </s>[INST]");
  });

  test("batches of conversations are padded, cut and made tensors", async () => {
    const t = await AutoTokenizer.from_pretrained(tekkenFolder("v7"));
    const rows = t.apply_chat_template([chat, [{ role: "user", content: "Hi" }]], {
      padding: true,
      return_tensors: "pt",
    });
    const ids = (rows.input_ids as { tolist(): number[][] }).tolist();
    expect(ids[1].slice(0, 2)).toEqual([11, 11]);
    expect(ids[0]).toHaveLength(ids[1].length);
    const cut = t.apply_chat_template(chat, { truncation: true, max_length: 5 });
    expect(cut.input_ids).toEqual(ids[0].slice(0, 5));
    expect(cut.attention_mask).toEqual([1, 1, 1, 1, 1]);
  });

  test("a chat template that is given or set is rendered in its place", async () => {
    const t = await AutoTokenizer.from_pretrained(tekkenFolder("v7"));
    const chat_template = "{{ messages[0].content }}";
    expect(t.apply_chat_template(chat, { chat_template, tokenize: false })).toBe("Be brief.");
    t.chat_template = "{{ messages[1].role }}";
    expect(t.apply_chat_template(chat, { tokenize: false })).toBe("user");
  });

  test("tokenizer.json beside it wins", async () => {
    const t = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/mistral-v3"));
    expect(t).not.toBeInstanceOf(MistralCommonBackend);
  });

  test("save_pretrained copies the file, which reads the same again", async () => {
    const t = await AutoTokenizer.from_pretrained(tekkenFolder("v11"));
    const folder = mkdtempSync(join(tmpdir(), "mistral-tekken-"));
    folders.push(folder);
    expect(await t.save_pretrained(folder)).toEqual([join(folder, "tekken.json")]);
    const again = await AutoTokenizer.from_pretrained(folder);
    expect(again.apply_chat_template(chat)).toEqual(t.apply_chat_template(chat));
    t.add_tokens("new");
    await expect(t.save_pretrained(folder)).rejects.toThrow(/1 tokens were added/);
  });
});

describe("what cannot be is refused with the reason", () => {
  const loaded = MistralCommonBackend.from_pretrained(tekkenFolder("v13"));
  const refused: [string, ChatTemplateOptions, RegExp][] = [
    ["an unknown option", { tool: [] }, /did you mean "tools"/],
    ["documents", { documents: [{}] }, /documents needs a chat template/],
    [
      "a form of arguments",
      { toolCallArguments: "text" },
      /toolCallArguments needs a chat template/,
    ],
    ["masks", { return_assistant_tokens_mask: true }, /needs a chat template/],
    ["two endings", { continue_final_message: true, add_generation_prompt: true }, /leave one out/],
    ["nothing to continue", { continue_final_message: true }, /last message of the assistant/],
    ["settings of v15", { reasoning_effort: "high" }, /v13 has no such setting/],
  ];
  test.each(refused)("%s", async (_, options, message) => {
    const t = await loaded;
    expect(() => t.apply_chat_template(chat, options)).toThrow(InputError);
    expect(() => t.apply_chat_template(chat, options)).toThrow(message);
  });

  test("images, by what they are", async () => {
    const t = await loaded;
    const content = [{ type: "image_url", image_url: { url: "data:image/png;base64,AA" } }];
    const call = (): unknown => t.apply_chat_template([{ role: "user", content }]);
    expect(call).toThrow(/message 0: part 0: "image_url": this library's models read text only/);
  });

  test("a version without its control tokens", async () => {
    const folder = tekkenFolder("v3");
    const t = await MistralCommonBackend.from_pretrained(folder, { version: "v11" });
    const call = { id: "123456789", function: { name: "f", arguments: "{}" } };
    const messages = [
      { role: "user", content: "x" },
      { role: "assistant", tool_calls: [call] },
      { role: "tool", tool_call_id: "123456789", content: "1" },
    ];
    expect(() => t.apply_chat_template(messages)).toThrow(/no control token \[CALL_ID\]/);
  });

  test("unknown modes, versions and policies", async () => {
    const folder = tekkenFolder("v3");
    const open = (options: object): Promise<unknown> =>
      MistralCommonBackend.from_pretrained(folder, options);
    await expect(open({ mode: "tests" })).rejects.toThrow(/did you mean "test"/);
    await expect(open({ version: "v14" })).rejects.toThrow(/unknown version "v14"/);
    await expect(open({ model_max_length: -1 })).rejects.toThrow(
      /model_max_length is -1; expected/,
    );
    await expect(open({ model_input_names: [1] })).rejects.toThrow(/expected an array of texts/);
    await expect(open({ truncation_side: "up" })).rejects.toThrow(/truncation_side is "up"/);
    await expect(open({ modes: "test" })).rejects.toThrow(/did you mean "mode"/);
    const t = await loaded;
    const policy = { special_token_policy: "keeps" } as unknown as object;
    expect(() => t.decode([1], policy)).toThrow(/did you mean "keep"/);
  });
});
