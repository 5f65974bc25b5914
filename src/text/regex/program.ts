// Compiles a syntax tree into a program of the backtracking matcher. Knows nothing of texts.

import { CheckpointError } from "../../errors.ts";
import type { CharSet } from "./char-set.ts";
import { type Anchor, lengths, type RegexNode } from "./syntax.ts";

export type Instruction =
  /** One character of the set. */
  | { op: "char"; set: CharSet }
  /** Goes on at `to`; if that fails, at `otherwise`. */
  | { op: "split"; to: number; otherwise: number }
  | { op: "jump"; to: number }
  /** Keeps the place in a slot. Slot 0 is where the match begins; a group has the slots 2 · group and 2 · group + 1. */
  | { op: "save"; slot: number }
  /** Leaves a loop whose last round matched no text: the place is still the one in the slot. */
  | { op: "leave"; slot: number; to: number }
  | { op: "anchor"; at: Anchor }
  /** A part of the program on its own, from the next instruction to its own `end`; then goes on at `to`. */
  | { op: "atomic"; to: number }
  | { op: "look"; to: number; negative: boolean }
  /** As `look`, for a part that ends here and has between `least` and `most` characters. */
  | { op: "look behind"; to: number; negative: boolean; least: number; most: number }
  | { op: "reference"; groups: readonly number[]; ignoreCase: boolean }
  | { op: "end" };

export type Program = { code: readonly Instruction[]; slots: number };

// Repetitions with a limit are written out, so that an expression can be much shorter than its program.
const MOST_INSTRUCTIONS = 50_000;

/** @throws CheckpointError the program is too long */
export function compileRegex(node: RegexNode, groups: number, where: string): Program {
  return new Compiler(groups, where).compile(node);
}

class Compiler {
  readonly #code: Instruction[] = [];
  readonly #where: string;
  #slots: number;

  constructor(groups: number, where: string) {
    this.#slots = 2 * (groups + 1);
    this.#where = where;
  }

  compile(node: RegexNode): Program {
    this.#emit(node);
    this.#push({ op: "end" });
    return { code: this.#code, slots: this.#slots };
  }

  #push<I extends Instruction>(instruction: I): I {
    if (this.#code.length >= MOST_INSTRUCTIONS) {
      throw new CheckpointError(
        `${this.#where}: the regular expression is too long when its repetitions are written out`,
      );
    }
    this.#code.push(instruction);
    return instruction;
  }

  #emit(node: RegexNode): void {
    switch (node.kind) {
      case "char":
        this.#push({ op: "char", set: node.set });
        break;
      case "sequence":
        for (const item of node.nodes) this.#emit(item);
        break;
      case "choice":
        this.#choice(node.nodes);
        break;
      case "repeat":
        this.#repeat(node);
        break;
      case "capture":
        this.#push({ op: "save", slot: 2 * node.group });
        this.#emit(node.node);
        this.#push({ op: "save", slot: 2 * node.group + 1 });
        break;
      case "atomic":
        this.#part({ op: "atomic", to: 0 }, node.node);
        break;
      case "look": {
        const { negative } = node;
        const [least, most] = lengths(node.node);
        if (node.behind) this.#part({ op: "look behind", to: 0, negative, least, most }, node.node);
        else this.#part({ op: "look", to: 0, negative }, node.node);
        break;
      }
      case "anchor":
        this.#push({ op: "anchor", at: node.at });
        break;
      case "backreference":
        this.#push({ op: "reference", groups: node.groups, ignoreCase: node.ignoreCase });
        break;
      case "keep":
        this.#push({ op: "save", slot: 0 });
    }
  }

  #part(instruction: Instruction & { to: number }, node: RegexNode): void {
    this.#push(instruction);
    this.#emit(node);
    this.#push({ op: "end" });
    instruction.to = this.#code.length;
  }

  #choice(nodes: readonly RegexNode[]): void {
    const jumps: { to: number }[] = [];
    nodes.forEach((node, i) => {
      if (i === nodes.length - 1) {
        this.#emit(node);
        return;
      }
      const split = this.#push({ op: "split", to: this.#code.length + 1, otherwise: 0 });
      this.#emit(node);
      jumps.push(this.#push({ op: "jump", to: 0 }));
      split.otherwise = this.#code.length;
    });
    for (const jump of jumps) jump.to = this.#code.length;
  }

  /** A round that matches no text ends the repetition, even if there were too few rounds. */
  #repeat({ node, least, most, lazy }: RegexNode & { kind: "repeat" }): void {
    const exits: ((to: number) => void)[] = [];
    const slot = lengths(node)[0] === 0 && most > 1 ? this.#slots++ : undefined;
    const round = (): void => {
      if (slot !== undefined) this.#push({ op: "save", slot });
      this.#emit(node);
      if (slot === undefined) return;
      const leave = this.#push({ op: "leave", slot, to: 0 });
      exits.push((to) => (leave.to = to));
    };
    for (let i = 0; i < least; i++) round();
    if (most === Infinity) {
      const begin = this.#code.length;
      exits.push(this.#split(lazy));
      round();
      this.#push({ op: "jump", to: begin });
    } else {
      for (let i = least; i < most; i++) {
        exits.push(this.#split(lazy));
        round();
      }
    }
    for (const exit of exits) exit(this.#code.length);
  }

  /** A choice between what comes next and an exit, whose place is given later. */
  #split(lazy: boolean): (to: number) => void {
    const next = this.#code.length + 1;
    const split = this.#push({ op: "split", to: next, otherwise: next });
    return (to) => {
      if (lazy) split.to = to;
      else split.otherwise = to;
    };
  }
}
