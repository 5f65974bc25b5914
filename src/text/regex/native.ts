// Writes a syntax tree as a regular expression of JavaScript (flag v), where that means the same: JavaScript's matcher is many times
// faster than ours. Knows nothing of costs and texts.

import { wordCharacter } from "./char-set.ts";
import { type Anchor, lengths, type RegexNode, walk } from "./syntax.ts";

/** The source of the expression, or undefined if JavaScript has no counterpart of a node. */
export function nativeSource(node: RegexNode): string | undefined {
  return Array.from(walk(node)).every(hasCounterpart) ? new Writer().write(node) : undefined;
}

function hasCounterpart(node: RegexNode): boolean {
  switch (node.kind) {
    case "repeat":
      // JavaScript takes back a round that matches no text, Oniguruma ends the repetition with it
      return lengths(node.node)[0] > 0;
    case "anchor":
      return ANCHORS[node.at] !== undefined;
    default:
      return node.kind !== "backreference" && node.kind !== "keep";
  }
}

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
        return ANCHORS[node.at]?.() ?? "";
      default:
        return "";
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

/** Of each anchor its source; none for what JavaScript does not know. */
const ANCHORS: Readonly<Record<Anchor, (() => string) | undefined>> = {
  "text start": () => START,
  "text end": () => END,
  "last line end": () => `(?=\\n?${END})`,
  "line start": () => `(?:${START}|(?<=\\n)(?=[^]))`,
  "line end": () => `(?=\\n|${END})`,
  "word edge": () => edge(true),
  "no word edge": () => edge(false),
  "search start": undefined,
};

function edge(isEdge: boolean): string {
  const word = wordCharacter();
  const [before, behind] = isEdge ? ["!", "="] : ["=", "!"];
  return `(?:(?<=${word})(?${before}${word})|(?<!${word})(?${behind}${word}))`;
}
