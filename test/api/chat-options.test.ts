// Options of apply_chat_template: misspelt names, and the arguments of tool calls as text or as objects.

import { beforeAll, describe, expect, test } from "vitest";
import type {
  ChatMessage,
  ChatTemplateOptions,
} from "../../src/api/tokenizer/apply-chat-template.ts";
import { AutoTokenizer } from "../../src/api/tokenizer/auto-tokenizer.ts";
import type { PreTrainedTokenizer } from "../../src/api/tokenizer/tokenizer.ts";
import { InputError } from "../../src/errors.ts";
import { compileChatTemplate } from "../../src/text/chat-template.ts";
import { goldenPath } from "../golden-files.ts";

let tokenizer: PreTrainedTokenizer;
beforeAll(async () => {
  tokenizer = await AutoTokenizer.from_pretrained(goldenPath("tokenizers/mistral-v1"));
});

const HI = [{ role: "user", content: "Hi" }];

const rendered = (messages: ChatMessage[], options: ChatTemplateOptions): string =>
  tokenizer.apply_chat_template(messages, { ...options, tokenize: false });

describe("options that nothing reads", () => {
  const chat_template =
    "{% for message in messages %}{{ message.content }}{% endfor %}{% if enable_thinking %} thinks{% endif %}";

  test("a variable that the template reads is passed", () => {
    expect(rendered(HI, { chat_template, enable_thinking: true })).toBe("Hi thinks");
  });

  test.each([
    ["add_generation_promt", 'did you mean "add_generation_prompt"?'],
    ["enable_thinkin", 'did you mean "enable_thinking"?'],
    ["toolcallarguments", 'did you mean "toolCallArguments"?'],
    ["message", 'unknown option "message"'], // the template assigns it itself
    ["colour", 'unknown option "colour"'],
    ["messages", "pass the messages first"],
  ])("%s", (name, told) => {
    const run = (): string => rendered(HI, { chat_template, [name]: true });
    expect(run).toThrow(InputError);
    expect(run).toThrow(told);
  });

  test("one that is undefined was not given", () => {
    expect(rendered(HI, { chat_template, colour: undefined })).toBe("Hi");
  });
});

test.each([
  ["{{ a }}{% set b = 1 %}{{ b }}{{ c | default(d) }}", "a c d"],
  ["{% if x %}{% set y = 1 %}{% endif %}{{ y }}", "x y"],
  ["{% if x %}{% set y = 1 %}{% else %}{% set y = 2 %}{% endif %}{{ y }}", "x"],
  [
    "{% for i, j in pairs if i %}{{ i.k }}{{ loop.index }}{% set k = 1 %}{% endfor %}{{ k }}{{ i }}",
    "i k pairs",
  ],
  ["{% macro f(a, b=c) %}{{ a }}{{ b }}{{ caller() }}{{ e }}{% endmacro %}{{ f(1) }}", "c e"],
  ["{% set ns = namespace(x=y) %}{% set ns.x = z %}{{ ns.x }}", "namespace y z"],
  [
    "{% with a = b %}{{ a }}{% endwith %}{{ q[r:s].t(u, v=w, *m, **n) is divisibleby o }}",
    "b m n o q r s u w",
  ],
  ["{% set t %}{{ a }}{% endset %}{% filter replace(f, g) %}{{ t }}{% endfilter %}", "a f g"],
  [
    "{% call(x) f(y) %}{{ x }}{{ z }}{% endcall %}{{ not (1 < p <= k) and -h or [i, (j,), {l: e}] ~ a if b else c }}",
    "a b c e f h i j k l p y z",
  ],
])("free names of %s", (template, names) => {
  const { variables } = compileChatTemplate(template);
  expect([...variables].toSorted().join(" ")).toBe(names);
});

describe("toolCallArguments", () => {
  /** As Mistral's later templates: text as it is, objects through `tojson | safe`. */
  const later =
    "{% for m in messages %}{% for call in m.tool_calls %}{% set a = call.function.arguments %}" +
    "{% if a is not string %}{% set a = a | tojson | safe %}{% endif %}" +
    "{{ '[TOOL_CALLS]\"' + call.function.name + '\"[ARGS]' + a }}{% endfor %}{% endfor %}";
  const earlier =
    "{% for m in messages %}{% for call in m.tool_calls %}{{ call.function | tojson }}{% endfor %}{% endfor %}";
  const called = (args: unknown): ChatMessage[] => [
    {
      role: "assistant",
      tool_calls: [{ type: "function", function: { name: "f", arguments: args } }],
    },
  ];
  const text = '{"city": "Oslo <é>", "n": 1.0, "big": 12345678901234567890}';

  test("as Jinja: an object that is joined as Markup escapes the text before it", () => {
    expect(rendered(called({ city: "Oslo" }), { chat_template: later })).toBe(
      '[TOOL_CALLS]&#34;f&#34;[ARGS]{"city": "Oslo"}',
    );
  });

  test("text", () => {
    const options: ChatTemplateOptions = { chat_template: later, toolCallArguments: "text" };
    const told = '[TOOL_CALLS]"f"[ARGS]{"city": "Oslo"}';
    expect(rendered(called({ city: "Oslo" }), options)).toBe(told);
    expect(rendered(called('{"city": "Oslo"}'), options)).toBe(told);
  });

  test("object", () => {
    const options: ChatTemplateOptions = { chat_template: earlier, toolCallArguments: "object" };
    const told = `{"name": "f", "arguments": ${text}}`;
    expect(rendered(called(text), options)).toBe(told);
    expect(rendered(called(""), options)).toBe('{"name": "f", "arguments": {}}');
  });

  test("calls without a function, and messages without calls", () => {
    const chat_template = "{{ messages[0].tool_calls[0] | tojson }}{{ messages[1].content }}";
    const messages = [{ role: "assistant", tool_calls: [{ arguments: { a: 1 } }] }, HI[0]];
    expect(rendered(messages, { chat_template, toolCallArguments: "text" })).toBe(
      '{"arguments": "{\\"a\\": 1}"}Hi',
    );
  });

  test.each(["[1]", "no JSON", "{"])("%s is no object", (given) => {
    const run = (): string =>
      rendered(called(given), { chat_template: earlier, toolCallArguments: "object" });
    expect(run).toThrow(InputError);
    expect(run).toThrow("message 0");
  });

  test("another value", () => {
    const options = {
      chat_template: earlier,
      toolCallArguments: "json",
    } as unknown as ChatTemplateOptions;
    expect(() => rendered(called("{}"), options)).toThrow('expected "text" or "object"');
  });
});
