// The module of kernels where memory is not shared: one bit of its memory import is cleared, whatever stands before it. And machine code
// that a thread lacks.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { instantiate, withUnsharedMemory } from "../../src/backends/wasm/kernel-module.ts";
import { EngineError } from "../../src/errors.ts";
import { type Build, kernelPath } from "../contract/wasm-kernels.ts";

const HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const text = (name: string): number[] => [name.length, ...new TextEncoder().encode(name)];
const section = (code: number, body: readonly number[]): number[] => [code, body.length, ...body];
/** One type: (f64) → (). */
const types = section(1, [1, 0x60, 1, 0x7c, 0]);
const native = [...text("env"), ...text("native"), 0, 0];
const memory = (shared: boolean): number[] => [
  ...text("env"),
  ...text("memory"),
  2,
  shared ? 3 : 1,
  1,
  2,
];
const imports = (...all: readonly number[][]): number[] => section(2, [all.length, ...all.flat()]);

describe("withUnsharedMemory", () => {
  test.each<[string, number[][], number[][]]>([
    ["a memory alone", [memory(true)], [memory(false)]],
    ["after a function", [native, memory(true)], [native, memory(false)]],
    ["before a function", [memory(true), native], [memory(false), native]],
    ["after two functions", [native, native, memory(true)], [native, native, memory(false)]],
  ])("%s", (_, given, expected) => {
    const before = Uint8Array.from([...HEAD, ...types, ...imports(...given)]);
    const copy = Uint8Array.from(before);
    const after = withUnsharedMemory(before);
    expect([...after]).toEqual([...HEAD, ...types, ...imports(...expected)]);
    expect(before).toEqual(copy);
    expect(WebAssembly.validate(after)).toBe(true);
  });

  test.each<[string, number[]]>([
    ["no imports", []],
    ["a function only", imports(native)],
    ["a table first", imports([...text("env"), ...text("table"), 1, 0x70, 0, 1], memory(true))],
  ])("%s: an error", (_, body) => {
    const module = Uint8Array.from([...HEAD, ...types, ...body]);
    expect(() => withUnsharedMemory(module)).toThrow(EngineError);
  });

  test.each<Build>(["kernels.wasm", "kernels-plain.wasm"])("%s", (build) => {
    const module = new WebAssembly.Module(withUnsharedMemory(readFileSync(kernelPath(build))));
    const unshared = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
    expect(instantiate(module, unshared).run).toBeTypeOf("function");
  });
});

describe.each<Build>(["kernels.wasm", "kernels-plain.wasm"])("machine code in %s", (build) => {
  const module = new WebAssembly.Module(readFileSync(kernelPath(build)));
  const shared = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });

  test("gets the number that the kernel gives", () => {
    const calls: number[] = [];
    const { call_native } = instantiate(module, shared, (call) => void calls.push(call));
    call_native(2 ** 47 + 8);
    expect(calls).toEqual([2 ** 47 + 8]);
  });

  test("that a thread lacks is an exception", () => {
    expect(() => instantiate(module, shared).call_native(0)).toThrow(
      new EngineError("a kernel called machine code in a thread that has none"),
    );
  });
});
