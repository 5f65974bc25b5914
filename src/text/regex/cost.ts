// How long a backtracking matcher may need for an expression: decides whether JavaScript's own, which cannot be stopped, may run it.
// Knows nothing of texts.

import type { RegexNode } from "./syntax.ts";

// Something optional, alternatives, and repetitions of at most FEW times multiply the ways to match at one place by a small number.
// Each adds an eighth to the exponent, so an expression below 2 may have 15 of them, or 7 beside one unlimited repetition.
const FEW = 16;
const CHOICE = 1 / 8;

/**
 * An upper bound of the exponent d of the O(n^d) steps that a backtracking matcher may need at one place of a text of length n: one for
 * each unlimited repetition, and CHOICE for each smaller choice, that stands before something that can fail to match. Repeated
 * groups and back-references count as infinite.
 */
export function degree(node: RegexNode): number {
  return cost(node, false);
}

/** `fails`: whether something behind the node can fail, so that the node's other ways to match are tried. */
function cost(node: RegexNode, fails: boolean): number {
  switch (node.kind) {
    case "sequence": {
      let after = fails;
      let sum = 0;
      for (const item of node.nodes.toReversed()) {
        sum += cost(item, after);
        after ||= canFail(item);
      }
      return sum;
    }
    case "choice":
      return (fails ? CHOICE : 0) + Math.max(...node.nodes.map((branch) => cost(branch, fails)));
    case "repeat":
      if (node.node.kind !== "char" && node.most > 1) return Infinity;
      return cost(node.node, fails) + (fails ? choices(node) : 0);
    case "capture":
      return cost(node.node, fails);
    case "atomic":
      return cost(node.node, false);
    case "look":
      // JavaScript looks behind as far as the text goes
      return cost(node.node, node.behind);
    case "backreference":
      return Infinity;
    default:
      return 0;
  }
}

function canFail(node: RegexNode): boolean {
  return node.kind !== "repeat" || node.least > 0;
}

function choices({ least, most }: { least: number; most: number }): number {
  if (least === most) return 0;
  return most <= FEW ? CHOICE : 1;
}
