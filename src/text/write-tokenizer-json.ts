// Writes a tokenizer as tokenizer.json, from which this library and Rust `tokenizers` read the same tokenizer again. Knows nothing
// of folders.

import type { Piece, Template } from "./post-processor.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export function writeTokenizerJson(tokenizer: TextTokenizer): string {
  const { model, source, template, added } = tokenizer;
  const name = (id: number): string =>
    tokenizer.added.get(id)?.content ?? tokenizer.idToToken(id) ?? "";
  const merges: [string, string][] = [];
  for (let i = 0; i < model.merges.length; i += 3) {
    merges.push([name(model.merges[i]), name(model.merges[i + 1])]);
  }
  const vocab = [...model.vocab].toSorted(([, a], [, b]) => a - b);
  const byId = [...added].toSorted(([a], [b]) => a - b);
  const root = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: byId.map(([id, token]) => ({ id, ...token })),
    normalizer: source.normalizer,
    pre_tokenizer: source.pre_tokenizer,
    post_processor: postProcessor(template, name),
    decoder: source.decoder,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: model.unk === undefined ? null : name(model.unk),
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: model.fuseUnk,
      byte_fallback: model.byteFallback,
      ignore_merges: model.ignoreMerges,
      vocab: Object.fromEntries(vocab),
      merges,
    },
  };
  return `${JSON.stringify(root, undefined, 2)}\n`;
}

type Name = (id: number) => string;

function postProcessor({ single, pair, trim }: Template, name: Name): object {
  const around = {
    type: "TemplateProcessing",
    single: single.map((piece) => pieceJson(piece, name)),
    pair: pair.map((piece) => pieceJson(piece, name)),
    special_tokens: Object.fromEntries(
      [...single, ...pair].flatMap((piece) =>
        "ids" in piece ? [[label(piece.ids, name), special(piece.ids, name)]] : [],
      ),
    ),
  };
  if (trim === undefined) return around;
  const flags = { add_prefix_space: trim.keepFirst, trim_offsets: true, use_regex: true };
  const bytes = { type: "ByteLevel", ...flags };
  return { type: "Sequence", processors: trim.before ? [bytes, around] : [around, bytes] };
}

function label(ids: readonly number[], name: Name): string {
  return ids.map(name).join("");
}

function special(ids: readonly number[], name: Name): object {
  return { id: label(ids, name), ids, tokens: ids.map(name) };
}

function pieceJson(piece: Piece, name: Name): object {
  const type_id = piece.typeId;
  if ("ids" in piece) return { SpecialToken: { id: label(piece.ids, name), type_id } };
  return { Sequence: { id: piece.sequence === 0 ? "A" : "B", type_id } };
}
