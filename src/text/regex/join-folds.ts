// Where case is ignored, letters that follow each other may together equal one character: "ss" and "ß". Rewrites a sequence of nodes so
// that it matches such a character too. Knows no sources of expressions.

import { simpleFold } from "./case-folds.ts";
import type { RegexNode } from "./syntax.ts";

/**
 * The sequence, where any run of literals that is a folding of a character may also be that character.
 *
 * @param folds  texts of several characters, and the characters that equal them
 * @param single the node of one character in all its cases
 * @returns undefined: there are too many such runs one after the other
 */
export function joinFolds(
  nodes: readonly RegexNode[],
  folds: () => ReadonlyMap<string, readonly number[]>,
  single: (point: number) => RegexNode,
): RegexNode[] | undefined {
  const out: RegexNode[] = [];
  for (let i = 0; i < nodes.length;) {
    let end = i;
    while (end < nodes.length && isLiteral(nodes[end])) end++;
    if (end - i > 1) {
      const run = joinRun(nodes.slice(i, end), folds(), single);
      if (run === undefined) return undefined;
      out.push(...run);
    } else if (end === i) out.push(nodes[end++]);
    else out.push(nodes[i]);
    i = end;
  }
  return out;
}

function isLiteral(node: RegexNode): boolean {
  return node.kind === "char" && node.literal !== undefined;
}

// Each place where letters may join doubles the nodes behind it.
const MOST_PLACES = 8;

function joinRun(
  run: readonly RegexNode[],
  folds: ReadonlyMap<string, readonly number[]>,
  single: (point: number) => RegexNode,
): RegexNode[] | undefined {
  const letters = run.map((node) => simpleFold(node.kind === "char" ? (node.literal ?? 0) : 0));
  const joining = (at: number, length: number): readonly number[] =>
    (at + length <= run.length && folds.get(letters.slice(at, at + length).join(""))) || [];
  const places = run.filter((_, at) => joining(at, 2).length > 0 || joining(at, 3).length > 0);
  if (places.length > MOST_PLACES) return undefined;
  const from = (at: number): RegexNode[] => {
    if (at >= run.length) return [];
    const joined = [2, 3].flatMap((length): RegexNode[] => {
      const points = joining(at, length);
      if (points.length === 0) return [];
      const one = { kind: "choice", nodes: points.map((p) => onlySingle(single(p))) } as const;
      return [{ kind: "sequence", nodes: [one, ...from(at + length)] }];
    });
    const apart = [run[at], ...from(at + 1)];
    if (joined.length === 0) return apart;
    return [{ kind: "choice", nodes: [{ kind: "sequence", nodes: apart }, ...joined] }];
  };
  return from(0);
}

/** Of a choice between a character and the text that it equals, the character. */
function onlySingle(node: RegexNode): RegexNode {
  return node.kind === "choice" ? node.nodes[0] : node;
}
