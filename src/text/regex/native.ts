// Writes a syntax tree as a regular expression of JavaScript (flag v), where that means the same: JavaScript's matcher is many times
// faster than ours. Knows nothing of costs and texts.

import { wordCharacter } from "./char-set.ts";
import { type Anchor, lengths, type RegexNode } from "./syntax.ts";

/** The source of the expression, or undefined if JavaScript has no counterpart of a node. */
export function nativeSource(node: RegexNode): string | undefined {
  try {
    return new Writer().write(node);
  } catch (error) {
    if (error instanceof NoCounterpart) return undefined;
    throw error;
  }
}

class NoCounterpart extends Error {}

class Writer {
  #groups = 0;

  write(node: RegexNode): string {
    switch (node.kind) {
      case "char":
        return node.set.source;
      case "sequence":
        return node.nodes.map((item) => this.#piece(item)).join("");
      case "choice":
        return node.nodes.map((branch) => this.write(branch)).join("|");
      case "repeat": {
        const { least, most, lazy } = node;
        // JavaScript takes back a round that matches no text, Oniguruma ends the repetition with it
        if (lengths(node.node)[0] === 0) throw new NoCounterpart();
        const inner = node.node.kind === "char" ? this.write(node.node) : this.#group(node.node);
        const range = `{${least},${most === Infinity ? "" : most}}`;
        const short = { "{0,}": "*", "{1,}": "+", "{0,1}": "?" }[range] ?? range;
        return `${inner}${short}${lazy ? "?" : ""}`;
      }
      case "capture":
        return this.#group(node.node);
      case "atomic": {
        // what a lookahead has matched is not matched in another way
        const name = `a${this.#groups++}`;
        return `(?=(?<${name}>${this.write(node.node)}))\\k<${name}>`;
      }
      case "look":
        return `(?${node.behind ? "<" : ""}${node.negative ? "!" : "="}${this.write(node.node)})`;
      case "anchor":
        return anchorSource(node.at);
      default:
        throw new NoCounterpart();
    }
  }

  #group(node: RegexNode): string {
    return `(?:${this.write(node)})`;
  }

  /** A node as part of a sequence. */
  #piece(node: RegexNode): string {
    return node.kind === "choice" ? this.#group(node) : this.write(node);
  }
}

const START = "(?<![^])";
const END = "(?![^])";

function anchorSource(at: Anchor): string {
  switch (at) {
    case "text start":
      return START;
    case "text end":
      return END;
    case "last line end":
      return `(?=\\n?${END})`;
    case "line start":
      return `(?:${START}|(?<=\\n)(?=[^]))`;
    case "line end":
      return `(?=\\n|${END})`;
    case "word edge":
      return `(?:(?<=${wordCharacter()})(?!${wordCharacter()})|(?<!${wordCharacter()})(?=${wordCharacter()}))`;
    case "no word edge":
      return `(?:(?<=${wordCharacter()})(?=${wordCharacter()})|(?<!${wordCharacter()})(?!${wordCharacter()}))`;
    default:
      throw new NoCounterpart();
  }
}
