// The syntax tree of a regular expression of Oniguruma, the library that Rust `tokenizers` uses. Knows neither how one is written nor how
// it is matched.

import type { CharSet } from "./char-set.ts";

export type RegexNode =
  /** One character. `literal`: written as itself where case is ignored, so that with its neighbours it may mean "ß" for "ss". */
  | { kind: "char"; set: CharSet; literal?: number }
  | { kind: "sequence"; nodes: readonly RegexNode[] }
  | { kind: "choice"; nodes: readonly RegexNode[] }
  | { kind: "repeat"; node: RegexNode; least: number; most: number; lazy: boolean }
  | { kind: "capture"; group: number; node: RegexNode }
  /** Once matched, it is not matched in another way. */
  | { kind: "atomic"; node: RegexNode }
  | { kind: "look"; node: RegexNode; behind: boolean; negative: boolean }
  | { kind: "anchor"; at: Anchor }
  /** The text of the first of these groups that has one. */
  | { kind: "backreference"; groups: readonly number[]; ignoreCase: boolean }
  /** The match begins here, not where matching began. */
  | { kind: "keep" };

export type Anchor =
  | "text start"
  | "text end"
  | "last line end"
  | "line start"
  | "line end"
  | "word edge"
  | "no word edge"
  | "search start";

/** The least and the most characters that a node matches. */
export function lengths(node: RegexNode): [least: number, most: number] {
  switch (node.kind) {
    case "char":
      return [1, 1];
    case "sequence":
      return node.nodes.map(lengths).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    case "choice": {
      const all = node.nodes.map(lengths);
      return [Math.min(...all.map(([a]) => a)), Math.max(...all.map(([, b]) => b))];
    }
    case "repeat": {
      const [a, b] = lengths(node.node);
      return [a * node.least, b === 0 ? 0 : b * node.most];
    }
    case "capture":
    case "atomic":
      return lengths(node.node);
    case "backreference":
      return [0, Infinity];
    default:
      return [0, 0];
  }
}

/** All nodes of a tree, a node before what is in it. */
export function* walk(node: RegexNode): Generator<RegexNode> {
  yield node;
  if ("nodes" in node) for (const inner of node.nodes) yield* walk(inner);
  else if ("node" in node) yield* walk(node.node);
}
