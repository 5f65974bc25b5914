// apply_chat_template of Transformers 5.23: a conversation → text → token ids, with its options for tools, documents, messages to be
// continued, masks of what the assistant said, and control tokens that users write. Knows nothing of Jinja.

import { InputError } from "../../errors.ts";
import { unknownName } from "../../did-you-mean.ts";
import {
  compileChatTemplate,
  renderChatTemplate,
  type TemplateBudget,
} from "../../text/chat-template.ts";
import { refusePromise } from "../forgotten-await.ts";
import type { BatchEncoding } from "./batch-encoding.ts";
import type { ChatTokenizer } from "./chat-tokenizer.ts";
import { encodeMarked, markControlTokens } from "./control-tokens.ts";
import { Tensor } from "../tensor/tensor.ts";
import { type ToolArguments, withToolArguments } from "./tool-arguments.ts";
import { type ReturnTensors, wantsTensors, type TokenizerOptions } from "./tokenizer-options.ts";

/** One message: a role, and content as a text or a list of parts. Templates may read more fields. */
export type ChatMessage = { role: string; content?: unknown; [field: string]: unknown };

export type ChatTemplateOptions = {
  /** Functions that the model may call, as JSON schema objects. Default: none. */
  tools?: readonly object[] | null;
  /** Documents with `title` and `text`, for templates that read them. Default: none. */
  documents?: readonly object[] | null;
  /** A template, or the name of one of the tokenizer's templates. Default: the tokenizer's own. */
  chat_template?: string | null;
  /** Ends the text with what the template puts before an answer. Default false. */
  add_generation_prompt?: boolean;
  /** Ends the text within the last message, so that the model continues it; a string names the field to continue. Default false. */
  continue_final_message?: boolean | string;
  /** false: returns the text. Default true. */
  tokenize?: boolean;
  /** Encodes control tokens within messages as plain text, so that users cannot forge them. Default false. */
  sanitize_control_tokens?: boolean;
  /** Whether rows of several conversations are filled to one length, as `padding` of tokenizer(…). Default false. */
  padding?: TokenizerOptions["padding"];
  /** Whether rows are cut to `max_length`, as `truncation` of tokenizer(…). Default false. */
  truncation?: TokenizerOptions["truncation"];
  /** The length for `padding` and `truncation`, in tokens. Default: the tokenizer's `model_max_length`. */
  max_length?: number | null;
  /** "pt", "np", "ts" or true: `Tensor`s [B, S]; false or null: arrays of numbers. Default: arrays. */
  return_tensors?: ReturnTensors;
  /** false: returns the ids alone. Default true. */
  return_dict?: boolean;
  /** Adds `assistant_masks`: 1 for tokens from `{% generation %}` blocks. Default false. */
  return_assistant_tokens_mask?: boolean;
  /** More options for tokenizer(...). Default: none. */
  tokenizer_kwargs?: TokenizerOptions;
  /**
   * Hands the template the arguments of all tool calls as JSON text (`"text"`, as APIs send them) or as objects (`"object"`, as
   * Transformers' documentation has them). Default: as they are given. Which of them suits depends on the template: those that
   * write `arguments` behind `[ARGS]` suit text. Given an object, such a template prints `arguments | tojson | safe`, and Jinja then
   * escapes the text that it is joined to: the model reads `&#34;` in place of `"`. Mistral's templates with
   * `[TOOL_CALLS] [{"name": …, "arguments": …}]` suit objects: they print text as a JSON string.
   */
  toolCallArguments?: ToolArguments;
  /** Limits for the template, which is code that came with the model: steps, output, depth. Default: those of `TemplateBudget`. */
  templateBudget?: Partial<TemplateBudget>;
  /** Every other option is a variable of the template; one that the template does not read is an InputError. */
  [variable: string]: unknown;
};

type Rendered = { text: string; generation: readonly (readonly [number, number])[] };
type Message = Record<string, unknown>;

const WHERE = "apply_chat_template";

/**
 * See PreTrainedTokenizer.apply_chat_template.
 * @throws InputError    options that contradict each other
 * @throws TemplateError the template is wrong, refuses the conversation, or exceeds its budget
 */
export function applyChatTemplate(
  tokenizer: ChatTokenizer,
  conversation: readonly unknown[],
  options: ChatTemplateOptions,
): string | string[] | number[] | number[][] | Tensor | BatchEncoding {
  const {
    tools = null,
    documents = null,
    chat_template = null,
    add_generation_prompt = false,
    continue_final_message = false,
    tokenize = true,
    sanitize_control_tokens: sanitize = false,
    padding = false,
    truncation = false,
    max_length = null,
    return_tensors = null,
    return_dict = tokenize,
    return_assistant_tokens_mask: masks = false,
    tokenizer_kwargs = {},
    toolCallArguments,
    templateBudget,
    ...variables
  } = options;
  if (masks && !(return_dict && tokenize)) {
    throw new InputError(`${WHERE}: return_assistant_tokens_mask needs tokenize and return_dict`);
  }
  if (continue_final_message !== false && (add_generation_prompt || masks)) {
    const other = masks ? "return_assistant_tokens_mask" : "add_generation_prompt";
    throw new InputError(
      `${WHERE}: continue_final_message and ${other} are not compatible; leave one out`,
    );
  }
  const template = tokenizer.get_chat_template(chat_template, tools);
  checkVariables(variables, template);
  const read = readConversations(conversation);
  const { batched } = read;
  const form = readToolArguments(toolCallArguments);
  const chats =
    form === undefined ? read.chats : read.chats.map((chat) => withToolArguments(chat, form));
  checkObjects("tools", tools);
  checkObjects("documents", documents);
  let inputs = { chats, tools, documents, variables };
  if (sanitize) {
    if (!tokenize || masks) {
      throw new InputError(
        `${WHERE}: sanitize_control_tokens needs tokenize and does not go with return_assistant_tokens_mask`,
      );
    }
    inputs = markControlTokens(inputs, controlTokens(tokenizer, template));
  }
  const render = (messages: Message[]): Rendered => {
    const all = {
      messages,
      tools: inputs.tools,
      documents: inputs.documents,
      add_generation_prompt,
      ...tokenizer.special_tokens_map,
      ...inputs.variables,
    };
    return renderChatTemplate(template, all, templateBudget);
  };
  const rendered = inputs.chats.map((chat): Rendered => {
    const messages = aliasReasoning(chat);
    return continue_final_message === false
      ? render(messages)
      : { text: renderOpen(template, messages, continue_final_message, render), generation: [] };
  });
  const texts = rendered.map(({ text }) => text);
  if (!tokenize) return batched ? texts : texts[0];
  const call = {
    padding,
    truncation,
    max_length,
    return_tensors,
    add_special_tokens: false,
    ...tokenizer_kwargs,
  };
  const out: BatchEncoding = sanitize
    ? encodeMarked(tokenizer, texts, batched, call)
    : batched
      ? tokenizer(texts, call)
      : tokenizer(texts[0], call);
  if (masks) addMasks(out, rendered, batched, wantsTensors(WHERE, call));
  return return_dict ? out : out.input_ids;
}

/** The options that are no variables of a template. */
export const CHAT_OPTIONS: readonly string[] = [
  "tools",
  "documents",
  "chat_template",
  "add_generation_prompt",
  "continue_final_message",
  "tokenize",
  "sanitize_control_tokens",
  "padding",
  "truncation",
  "max_length",
  "return_tensors",
  "return_dict",
  "return_assistant_tokens_mask",
  "tokenizer_kwargs",
  "toolCallArguments",
  "templateBudget",
];

/** Refuses what nothing would read: a misspelt option, or a variable of another template. */
function checkVariables(variables: Record<string, unknown>, template: string): void {
  const given = Object.keys(variables).filter((name) => variables[name] !== undefined);
  if (given.length === 0) return;
  const read = compileChatTemplate(template).variables;
  for (const name of given) {
    if (name === "messages")
      throw new InputError(`${WHERE}: "messages" is no option; pass the messages first`);
    if (read.has(name)) continue;
    const unknown = unknownName("option", name, [...CHAT_OPTIONS, ...read]);
    throw new InputError(`${WHERE}: ${unknown} (nor does the chat template read such a variable)`);
  }
}

function readToolArguments(form: unknown): ToolArguments | undefined {
  if (form === undefined || form === null || form === "text" || form === "object")
    return form ?? undefined;
  throw new InputError(
    `${WHERE}: toolCallArguments is ${JSON.stringify(form)}; expected "text" or "object"`,
  );
}

/**
 * The ids that one message adds to a conversation: the ids with it, from the first one on that differs from the ids without it.
 *
 * @param encode gives the ids of a conversation
 * @throws InputError `add_generation_prompt` is given: it belongs to no message
 */
export function encodeMessage(
  encode: (messages: readonly ChatMessage[]) => number[],
  message: ChatMessage,
  history: readonly ChatMessage[],
  options: ChatTemplateOptions,
): number[] {
  if (options.add_generation_prompt !== undefined) {
    throw new InputError(
      "encode_message_with_chat_template: add_generation_prompt belongs to no message; add it behind the last one",
    );
  }
  const whole = encode([...history, message]);
  if (history.length === 0) return whole;
  const before = encode(history);
  const shorter = Math.min(before.length, whole.length);
  let same = 0;
  while (same < shorter && before[same] === whole[same]) same++;
  return whole.slice(same);
}

function readConversations(conversation: readonly unknown[]): {
  chats: Message[][];
  batched: boolean;
} {
  refusePromise(WHERE, conversation);
  if (!Array.isArray(conversation)) {
    throw new InputError(`${WHERE}: the conversation is no array; expected [{ role, content }, …]`);
  }
  if (conversation.length === 0) {
    throw new InputError(
      `${WHERE}: Cannot apply chat template to an empty conversation. Provide at least one message.`,
    );
  }
  const batched = Array.isArray(conversation[0]);
  const chats = (batched ? conversation : [conversation]) as readonly unknown[];
  return { chats: chats.map(readMessages), batched };
}

function readMessages(chat: unknown): Message[] {
  if (!Array.isArray(chat))
    throw new InputError(`${WHERE}: a conversation of the batch is no array`);
  return chat.map((message: unknown, i) => {
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      throw new InputError(`${WHERE}: message ${i} is no object; expected { role, content }`);
    }
    // other APIs write null for a field that is absent
    return Object.fromEntries(
      Object.entries(message).filter(([, value]) => value !== null && value !== undefined),
    );
  });
}

function checkObjects(name: string, list: readonly object[] | null): void {
  if (list === null) return;
  if (!Array.isArray(list) || list.some((item) => typeof item !== "object" || item === null)) {
    const expected = name === "tools" ? "JSON schema objects" : "objects with title and text";
    throw new InputError(`${WHERE}: ${name} must be an array of ${expected}`);
  }
}

// The names under which templates read the reasoning of a message.
const REASONING = ["reasoning_content", "thinking", "reasoning"];

function aliasReasoning(chat: readonly Message[]): Message[] {
  return chat.map((message) => {
    const field = REASONING.find((name) => message[name] !== undefined);
    if (field === undefined) return { ...message };
    const reasoning = message[field];
    return { thinking: reasoning, ...message, reasoning_content: reasoning };
  });
}

const TAG = "CONTINUE_FINAL_MESSAGE_TAG ";

/** The text up to the end of the continued field of the last message. A tag is appended to the field, and then found in the text. */
function renderOpen(
  template: string,
  messages: Message[],
  continued: boolean | string,
  render: (messages: Message[]) => Rendered,
): string {
  const field = typeof continued === "string" ? continued : "content";
  const last = messages[messages.length - 1];
  const value = last[field];
  if (value === undefined) {
    throw new InputError(`${WHERE}: continue_final_message: the last message has no "${field}"`);
  }
  const copies = REASONING.includes(field)
    ? REASONING.filter((name) => last[name] === value)
    : [field];
  if (!copies.some((name) => template.includes(name))) {
    throw new InputError(
      `${WHERE}: continue_final_message: the template reads no field "${field}"`,
    );
  }
  let text: string;
  if (Array.isArray(value)) {
    const at = value.findLastIndex((part: unknown) => isTextPart(part));
    if (at < 0)
      throw new InputError(`${WHERE}: continue_final_message: the last message has no text`);
    text = String((value[at] as Message).text);
    last[field] = value.map((part: unknown, i) =>
      i === at ? { ...(part as Message), text: text + TAG } : part,
    );
  } else {
    if (typeof value !== "string") {
      throw new InputError(
        `${WHERE}: continue_final_message: the last message's ${field} is no text`,
      );
    }
    text = value;
    for (const name of copies) last[name] = text + TAG;
  }
  const { text: whole } = render(messages);
  const tag = whole.lastIndexOf(TAG.trimEnd());
  if (tag < 0 || !whole.includes(pythonStrip(text))) {
    throw new InputError(
      `${WHERE}: continue_final_message: the last message does not appear in the text that the template gives; ` +
        "the template shortens or drops it",
    );
  }
  const before = whole.slice(0, tag);
  return whole.startsWith(TAG, tag) ? before : before.replace(TRAILING, "");
}

function isTextPart(part: unknown): boolean {
  return typeof part === "object" && part !== null && Object.hasOwn(part, "text");
}

// the characters that Python's str.strip removes
const PYTHON_SPACE = String.raw`[\p{White_Space}\u{1c}-\u{1f}]`;
const LEADING = new RegExp(`^${PYTHON_SPACE}+`, "u");
const TRAILING = new RegExp(`${PYTHON_SPACE}+$`, "u");

function pythonStrip(text: string): string {
  return text.replace(LEADING, "").replace(TRAILING, "");
}

function controlTokens(tokenizer: ChatTokenizer, template: string): string[] {
  return [...tokenizer.backend_tokenizer.added.values()]
    .filter(
      (token) => token.special || (token.content.trim() !== "" && template.includes(token.content)),
    )
    .map((token) => token.content);
}

/** Adds `assistant_masks`: 1 for the tokens of generation blocks, from the token with a block's first character to that with its last. */
function addMasks(
  out: BatchEncoding,
  rendered: readonly Rendered[],
  batched: boolean,
  tensors: boolean,
): void {
  const ids = out.input_ids;
  const rows = (ids instanceof Tensor ? ids.tolist() : batched ? ids : [ids]) as number[][];
  const masks = rows.map((row, i) => {
    const mask = row.map(() => 0);
    const { text, generation } = rendered[i];
    for (const [from, to] of generation) {
      const start = out.char_to_token(i, codePoints(text, from));
      if (start === null) break; // cut off by truncation
      const end = out.char_to_token(i, codePoints(text, to) - 1);
      mask.fill(1, start, end ? end + 1 : row.length);
    }
    return mask;
  });
  const value = tensors ? Tensor.from(masks, "int32") : batched ? masks : masks[0];
  Object.assign(out, { assistant_masks: value });
}

function codePoints(text: string, to: number): number {
  let points = 0;
  for (let at = 0; at < to; points++) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return points;
}
