// How long a backtracking matcher may need for an expression: decides whether JavaScript's own, which cannot be stopped, may run it.
// Knows nothing of texts.

import type { RegexNode } from "./syntax.ts";

// A choice of k ways multiplies the steps by k. As an exponent that is log(k) / log(n): texts are taken to have 256 characters or more,
// so that two ways count an eighth. An expression below 2 then tries at most 65,536 ways at a place, or 256 beside one unlimited repetition.
const WAYS_OF_ONE = 256;

/**
 * An upper bound of the exponent d of the O(n^d) steps that a backtracking matcher may need at one place of a text of length n: one for
 * each unlimited repetition, and less for each smaller choice by its number of ways, that stands before something that can fail to match.
 * Repeated groups and back-references count as infinite.
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
      return (
        (fails ? exponent(node.nodes.length) : 0) +
        Math.max(...node.nodes.map((branch) => cost(branch, fails)))
      );
    case "repeat":
      if (node.node.kind !== "char" && node.most > 1) return Infinity;
      return cost(node.node, fails) + (fails ? exponent(node.most - node.least + 1) : 0);
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

/** What a choice adds to the exponent; no choice adds more than an unlimited repetition. */
function exponent(ways: number): number {
  return Math.min(1, Math.log(ways) / Math.log(WAYS_OF_ONE));
}
