// A backtracking matcher: runs a program at a place of a text. It keeps its own stack, so that no text is too long for it, and can be
// stopped at any step. Knows no syntax.

import { simpleFold } from "./case-folds.ts";
import { CharSet, wordCharacter } from "./char-set.ts";
import type { Program } from "./program.ts";
import type { Anchor } from "./syntax.ts";

/** Called every few thousand steps; throws to stop. */
export type Clock = () => void;

const STEPS_BETWEEN_LOOKS = 4096;

export class Matcher {
  readonly #program: Program;
  readonly #slots: Int32Array;
  // pairs: an instruction and a place to go on at, or −1 − slot and the value to put back into it
  #stack = new Int32Array(256);
  #size = 0;
  #text = "";
  #searchStart = 0;
  #steps = 0;
  #clock: Clock = () => undefined;
  /** Where a look behind has to end; −1: anywhere. */
  #target = -1;

  constructor(program: Program) {
    this.#program = program;
    this.#slots = new Int32Array(program.slots);
  }

  /** The first match at or after `from`, as [begin, end). */
  search(text: string, from: number, clock: Clock): [number, number] | undefined {
    this.#text = text;
    this.#searchStart = from;
    this.#clock = clock;
    for (let at = from; at <= text.length; at += widthAt(text, at)) {
      this.#slots.fill(-1);
      this.#slots[0] = at;
      this.#size = 0;
      const end = this.#run(0, at);
      if (end >= 0) return [this.#slots[0], end];
    }
    return undefined;
  }

  /** Runs from `start` to the program part's end. @returns the place where the match ends, or −1 */
  #run(start: number, place: number): number {
    const { code } = this.#program;
    const text = this.#text;
    const bottom = this.#size;
    let pc = start;
    let at = place;
    for (;;) {
      if (++this.#steps % STEPS_BETWEEN_LOOKS === 0) this.#clock();
      const instruction = code[pc];
      let next = -1;
      switch (instruction.op) {
        case "char": {
          const width = widthOf(text, at, instruction.set);
          if (width > 0) {
            at += width;
            next = pc + 1;
          }
          break;
        }
        case "split":
          this.#push(instruction.otherwise, at);
          next = instruction.to;
          break;
        case "jump":
          next = instruction.to;
          break;
        case "save":
          this.#save(instruction.slot, at);
          next = pc + 1;
          break;
        case "leave":
          next = this.#slots[instruction.slot] === at ? instruction.to : pc + 1;
          break;
        case "anchor":
          if (this.#holds(instruction.at, at)) next = pc + 1;
          break;
        case "atomic": {
          const end = this.#part(pc + 1, at, -1);
          if (end >= 0) {
            at = end;
            next = instruction.to;
          }
          break;
        }
        case "look":
          if (this.#part(pc + 1, at, -1) >= 0 !== instruction.negative) next = instruction.to;
          break;
        case "look behind":
          if (this.#behind(pc + 1, at, instruction) !== instruction.negative) next = instruction.to;
          break;
        case "reference": {
          const end = this.#reference(instruction.groups, at, instruction.ignoreCase);
          if (end >= 0) {
            at = end;
            next = pc + 1;
          }
          break;
        }
        case "end":
          if (this.#target < 0 || this.#target === at) return at;
      }
      if (next >= 0) {
        pc = next;
        continue;
      }
      for (;;) {
        if (this.#size === bottom) return -1;
        this.#size -= 2;
        const what = this.#stack[this.#size];
        const value = this.#stack[this.#size + 1];
        if (what >= 0) {
          pc = what;
          at = value;
          break;
        }
        this.#slots[-1 - what] = value;
      }
    }
  }

  /** Runs a part on its own. Of what it pushed, only old values of slots stay on the stack, for the case that something later fails. */
  #part(start: number, at: number, target: number): number {
    const before = this.#size;
    const outer = this.#target;
    this.#target = target;
    const end = this.#run(start, at);
    this.#target = outer;
    let kept = before;
    for (let i = before; i < this.#size; i += 2) {
      if (this.#stack[i] >= 0) continue;
      this.#stack[kept] = this.#stack[i];
      this.#stack[kept + 1] = this.#stack[i + 1];
      kept += 2;
    }
    this.#size = kept;
    return end;
  }

  /** Whether the part at `start` matches some text that ends at `at`. */
  #behind(start: number, at: number, { least, most }: { least: number; most: number }): boolean {
    let begin = at;
    for (let length = 0; length <= most; length++) {
      if (length >= least && this.#part(start, begin, at) >= 0) return true;
      if (begin === 0) return false;
      begin -= widthBefore(this.#text, begin);
    }
    return false;
  }

  #reference(groups: readonly number[], at: number, ignoreCase: boolean): number {
    const group = groups.find((g) => this.#slots[2 * g + 1] >= 0);
    if (group === undefined) return -1;
    const wanted = this.#text.slice(this.#slots[2 * group], this.#slots[2 * group + 1]);
    const found = this.#text.slice(at, at + wanted.length);
    const same = ignoreCase ? folded(found) === folded(wanted) : found === wanted;
    return same ? at + wanted.length : -1;
  }

  #holds(anchor: Anchor, at: number): boolean {
    const text = this.#text;
    const end = text.length;
    switch (anchor) {
      case "text start":
        return at === 0;
      case "text end":
        return at === end;
      case "last line end":
        return at === end || (at === end - 1 && text[at] === "\n");
      case "line start":
        return at === 0 || (at < end && text[at - 1] === "\n");
      case "line end":
        return at === end || text[at] === "\n";
      case "search start":
        return at === this.#searchStart;
      default: {
        words ??= new CharSet(wordCharacter());
        const before = at > 0 && widthOf(text, at - widthBefore(text, at), words) > 0;
        const edge = before !== widthOf(text, at, words) > 0;
        return edge === (anchor === "word edge");
      }
    }
  }

  #save(slot: number, value: number): void {
    this.#push(-1 - slot, this.#slots[slot]);
    this.#slots[slot] = value;
  }

  #push(what: number, value: number): void {
    if (this.#size === this.#stack.length) {
      const grown = new Int32Array(this.#size * 2);
      grown.set(this.#stack);
      this.#stack = grown;
    }
    this.#stack[this.#size] = what;
    this.#stack[this.#size + 1] = value;
    this.#size += 2;
  }
}

let words: CharSet | undefined;

/** The width of the character at `at` in UTF-16 units if it is in the set, else 0. */
function widthOf(text: string, at: number, set: CharSet): number {
  const point = text.codePointAt(at);
  return point !== undefined && set.has(point) ? (point > 0xffff ? 2 : 1) : 0;
}

function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

function widthBefore(text: string, at: number): number {
  const unit = text.charCodeAt(at - 1);
  return unit >= 0xdc00 && unit < 0xe000 && at > 1 ? 2 : 1;
}

function folded(text: string): string {
  return Array.from(text, (character) => simpleFold(character.codePointAt(0) ?? 0)).join("");
}
