// The metadata that llama.cpp's converter writes for a SentencePiece model, from the bytes of tokenizer.model, independently of
// src/: field 1 of the model are the pieces, each with a text (1), a score (2) and a type (3).

import { list, text, type Typed, u32 } from "./craft-gguf.ts";

// U+FEFF is a piece of its own.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export function tokenizerMetadata(model: Uint8Array): [string, Typed][] {
  const tokens: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  for (const { number, bytes } of fields(model)) {
    if (number !== 1) continue;
    let [piece, score, type] = ["", 0, 1];
    for (const field of fields(bytes)) {
      if (field.number === 1) piece = utf8.decode(field.bytes);
      else if (field.number === 2) score = view(field.bytes).getFloat32(0, true);
      else if (field.number === 3) type = field.value;
    }
    tokens.push(piece);
    scores.push(score);
    types.push(type);
  }
  return [
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.tokens", list(8, tokens)],
    ["tokenizer.ggml.scores", list(6, scores)],
    ["tokenizer.ggml.token_type", list(5, types)],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
    ["tokenizer.ggml.unknown_token_id", u32(0)],
  ];
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function* fields(
  message: Uint8Array,
): Generator<{ number: number; value: number; bytes: Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag & 7;
    const value = wire === 0 || wire === 2 ? varint() : 0;
    const length = wire === 2 ? value : wire === 5 ? 4 : wire === 1 ? 8 : 0;
    yield { number: tag >>> 3, value, bytes: message.subarray(at, at + length) };
    at += length;
  }
}
