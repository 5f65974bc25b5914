// Post-processors of tokenizer.json: which special tokens stand around one text or two, as templates of pieces. A kind
// that is not known here is refused by name. Knows nothing of text.

import { CheckpointError } from "../errors.ts";
import { Encoding } from "./encoding.ts";
import { Fields } from "./json-fields.ts";
import type { Trim } from "./trim-offsets.ts";

/** A special token's ids, or the first or second text. */
export type Piece = { typeId: number } & ({ ids: readonly number[] } | { sequence: 0 | 1 });

export type Template = {
  single: readonly Piece[];
  pair: readonly Piece[];
  /** Whether and when offsets lose the white space at the ends of tokens. */
  trim?: Trim;
};

/** No special tokens. */
export const BARE: Template = {
  single: [{ sequence: 0, typeId: 0 }],
  pair: [
    { sequence: 0, typeId: 0 },
    { sequence: 1, typeId: 1 },
  ],
};

/** `bos` before and `eos` behind each text, where given: what add_bos_token and add_eos_token ask for. */
export function bosEosTemplate(bos: number | undefined, eos: number | undefined): Template {
  const around = (sequence: 0 | 1): Piece[] => [
    ...(bos === undefined ? [] : [{ ids: [bos], typeId: sequence }]),
    { sequence, typeId: sequence },
    ...(eos === undefined ? [] : [{ ids: [eos], typeId: sequence }]),
  ];
  return { single: around(0), pair: [...around(0), ...around(1)] };
}

/** How many tokens the template adds. */
export function addedTokens(template: readonly Piece[]): number {
  return template.reduce((sum, piece) => sum + ("ids" in piece ? piece.ids.length : 0), 0);
}

/** The texts with the special tokens of the template; without these if `special` is false. */
export function fillTemplate(
  template: readonly Piece[],
  texts: readonly Encoding[],
  special: boolean,
): Encoding {
  const details = texts[0].details !== undefined;
  const parts: Encoding[] = [];
  for (const piece of template) {
    if (!("ids" in piece)) parts.push(texts[piece.sequence].as(piece.sequence, piece.typeId));
    else if (special)
      parts.push(Encoding.special(piece.ids, { typeId: piece.typeId, attention: 1 }, details));
  }
  return parts.reduce((whole, part) => whole.followedBy(part));
}

/** The template a file describes. @throws CheckpointError */
export function readTemplate(value: unknown, where: string): Template {
  if (value === null || value === undefined) return BARE;
  const fields = new Fields(value, where);
  const type = fields.string("type");
  if (type === "Sequence") {
    const templates = fields.array("processors").map((p, i) => readTemplate(p, `${where}[${i}]`));
    const filled = templates.filter((template) => template.single !== BARE.single);
    const trims = templates.flatMap((template) => template.trim ?? []);
    if (filled.length > 1 || trims.length > 1) {
      throw new CheckpointError(
        `${where}: ${templates.length} processors, of which several add tokens or trim offsets, are not supported`,
      );
    }
    const { single, pair } = filled[0] ?? BARE;
    if (trims.length === 0) return { single, pair };
    const before = templates.findIndex(({ trim }) => trim) < templates.indexOf(filled[0]);
    return { single, pair, trim: { ...trims[0], before } };
  }
  if (type === "ByteLevel") {
    if (!fields.boolean("trim_offsets", true)) return BARE;
    return {
      ...BARE,
      trim: { keepFirst: fields.boolean("add_prefix_space", true), before: true },
    };
  }
  if (type !== "TemplateProcessing") {
    throw new CheckpointError(
      `${where}: post-processor "${type}" is not supported; known are TemplateProcessing, Sequence, ByteLevel`,
    );
  }
  const tokens = fields.object("special_tokens");
  for (const name of ["single", "pair"]) {
    if (fields.array(name).length === 0) throw fields.wrong(name, "at least one piece");
  }
  return {
    single: fields.objects("single").map((piece) => readPiece(piece, tokens, false)),
    pair: fields.objects("pair").map((piece) => readPiece(piece, tokens, true)),
  };
}

function readPiece(fields: Fields, tokens: Fields, pair: boolean): Piece {
  if (fields.has("Sequence")) {
    const sequence = fields.object("Sequence");
    const id = sequence.string("id");
    if (id !== "A" && !(pair && id === "B")) {
      throw sequence.wrong("id", pair ? '"A" or "B"' : '"A"');
    }
    return { sequence: id === "A" ? 0 : 1, typeId: sequence.integer("type_id", 0) };
  }
  const special = fields.object("SpecialToken");
  const ids = tokens.object(special.string("id")).array("ids");
  if (!ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0)) {
    throw tokens.object(special.string("id")).wrong("ids", "an array of token ids");
  }
  return { ids: ids as readonly number[], typeId: special.integer("type_id", 0) };
}
