// The options that decide the type of what a tokenizer returns: lists or tensors, a text, ids, or an encoding. Types only.

import type { ChatTemplateOptions } from "./apply-chat-template.ts";
import type { TokenizerOptions } from "./tokenizer-options.ts";

// Interfaces, as TypeScript shows no text for an option of which an intersection has two types.
export interface ForTensors extends TokenizerOptions {
  return_tensors: "pt" | "np" | "ts" | true;
}
export interface ForTensor extends TokenizerOptions {
  return_tensor: true;
}
export interface ForLists extends TokenizerOptions {
  return_tensors?: null | false;
  return_tensor?: false;
}
export interface ForListsOfTexts extends ForLists {
  is_split_into_words?: false;
}
export interface ForText extends ChatTemplateOptions {
  tokenize: false;
}
export interface ForIds extends ChatTemplateOptions {
  return_dict: false;
}
export interface ForEncoding extends ChatTemplateOptions {
  tokenize?: true;
  return_dict?: true;
}
export interface ForEncodingOfTensors extends ForEncoding {
  return_tensors: "pt" | "np" | "ts" | true;
}
