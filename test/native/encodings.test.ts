// The Assembler against recorded bytes, which GNU objdump reads as the texts of the cases (scripts/record-encodings.ts). On every machine:
// no instruction is run.

import { expect, test, vi } from "vitest";
import { Assembler } from "../../src/backends/native/assembler.ts";
import { CodeBuffer } from "../../src/backends/native/code-buffer.ts";
import { loads, operations } from "../../src/backends/native/instructions.ts";
import { assembleKernels } from "../../src/backends/native/kernels.ts";
import { limitsLibrary } from "../../src/backends/native/limits.ts";
import { encodingCases } from "./encoding-cases.ts";
import recorded from "./encodings.json" with { type: "json" };

const known: Readonly<Record<string, string>> = recorded;

function bytesOf(emit: (a: Assembler) => void): string {
  const a = new Assembler();
  emit(a);
  return Buffer.from(a.finish()).toString("hex");
}

test("every case has the recorded bytes", () => {
  expect(encodingCases.length).toBeGreaterThan(1000);
  const made = Object.fromEntries(encodingCases.map(({ text, emit }) => [text, bytesOf(emit)]));
  expect(made).toEqual(known);
});

test("every instruction is a case", () => {
  const called = new Set<string>();
  for (const { emit } of encodingCases) {
    const a = new Assembler();
    emit(
      new Proxy(a, {
        get(target, name) {
          called.add(String(name));
          const member = Reflect.get(target, name, target) as (...args: unknown[]) => unknown;
          return member.bind(target);
        },
      }),
    );
  }
  const methods = Object.getOwnPropertyNames(Assembler.prototype);
  const missing = methods.filter((name) => name !== "constructor" && !called.has(name));
  expect(missing).toEqual([]);
  const texts = encodingCases.map(({ text }) => text);
  const without = [...Object.keys(operations), ...Object.keys(loads)].filter(
    (name) => !texts.some((text) => text.startsWith(name)),
  );
  expect(without).toEqual([]);
});

test("every vector instruction is used by a kernel, and every condition", () => {
  const spies = (["op", "load", "j"] as const).map((name) => vi.spyOn(Assembler.prototype, name));
  assembleKernels();
  limitsLibrary();
  const used = new Set(spies.flatMap(({ mock }) => mock.calls.map(([name]) => name)));
  vi.restoreAllMocks();
  const inCases = encodingCases.flatMap(({ text }) => /^j(?!mp)(\w+)/.exec(text)?.[1] ?? []);
  const all = [...Object.keys(operations), ...Object.keys(loads), ...inCases];
  expect(new Set(all)).toEqual(used);
});

test("a label that is never placed is an error; code grows beyond the first buffer", () => {
  const a = new Assembler();
  a.jmp(a.label());
  expect(() => a.finish()).toThrow(/a label was used and never placed/);
  const large = new CodeBuffer();
  large.data(new Uint8Array(40_000).fill(1));
  large.data(new Uint8Array(40_000).fill(2));
  large.align(64);
  const code = large.finish();
  expect(code).toHaveLength(80_000);
  expect([code[0], code[39_999], code[40_000], code[79_999]]).toEqual([1, 1, 2, 2]);
});
