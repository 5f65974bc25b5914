// The shared library of machine code: its bytes, read by a small reader of ELF on every machine; and loaded and called where there is
// node:ffi. No page of the process is ever writable and executable at once.

import { machineCode } from "#platform";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Assembler, at, register } from "../../src/backends/native/assembler.ts";
import { assembleKernels } from "../../src/backends/native/kernels.ts";
import { sharedLibrary } from "../../src/backends/native/shared-library.ts";
import { onlyWith } from "./has.ts";

type Segment = { type: number; flags: number; offset: number; address: number; bytes: number };

/** What a loader reads: segments, and the symbols that a name leads to through the hash table. */
function readLibrary(file: Uint8Array): {
  segments: Segment[];
  find(name: string): number | undefined;
} {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const word = (offset: number): number => Number(view.getBigUint64(offset, true));
  expect([...file.subarray(0, 7)]).toEqual([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  expect([view.getUint16(16, true), view.getUint16(18, true)]).toEqual([3, 62]); // a shared object for x86-64
  const headers = word(32);
  const segments = Array.from({ length: view.getUint16(56, true) }, (_, i): Segment => {
    const header = headers + i * view.getUint16(54, true);
    return {
      type: view.getUint32(header, true),
      flags: view.getUint32(header + 4, true),
      ...{ offset: word(header + 8), address: word(header + 16), bytes: word(header + 32) },
    };
  });
  const dynamic = segments.find(({ type }) => type === 2);
  const entries = new Map<number, number>();
  for (let entry = dynamic?.offset ?? 0; word(entry) !== 0; entry += 16)
    entries.set(word(entry), word(entry + 8));
  const [hash, strings, symbols] = [4, 5, 6].map((tag) => entries.get(tag) ?? 0);
  const nameOf = (symbol: number): string => {
    const start = strings + view.getUint32(symbols + 24 * symbol, true);
    return new TextDecoder().decode(file.subarray(start, file.indexOf(0, start)));
  };
  return {
    segments,
    find(name) {
      // One bucket: no hash need be computed.
      expect(view.getUint32(hash, true)).toBe(1);
      const chain = hash + 12;
      let symbol = view.getUint32(hash + 8, true);
      while (symbol !== 0 && nameOf(symbol) !== name)
        symbol = view.getUint32(chain + 4 * symbol, true);
      return symbol === 0 ? undefined : word(symbols + 24 * symbol + 8);
    },
  };
}

/** A function that adds `what` to the 64-bit word at the address that it gets. */
function adder(a: Assembler, what: number): void {
  const { rax, rdi } = register;
  a.endbr64();
  a.cvttsd2si(rdi, 0);
  a.mov(rax, at(rdi));
  a.addImmediate(rax, what);
  a.store(at(rdi), rax);
  a.ret();
}

/** Functions that add 1, 2 and 3. */
function adders(): Uint8Array<ArrayBuffer> {
  const a = new Assembler();
  const symbols: Record<string, number> = {};
  for (const [i, name] of ["one", "two", "three"].entries()) {
    symbols[name] = a.size;
    adder(a, i + 1);
  }
  return sharedLibrary(a.finish(), symbols);
}

describe("the bytes", () => {
  test.each([1, 2, 5])("with %i functions: each is found by its name, others are not", (count) => {
    const code = Uint8Array.from({ length: 100 }, (_, i) => i + 1);
    const names = Array.from({ length: count }, (_, i) => `function_${i}`);
    const file = sharedLibrary(code, Object.fromEntries(names.map((name, i) => [name, 7 * i])));
    const { find } = readLibrary(file);
    for (const [i, name] of names.entries()) {
      const place = find(name) ?? Number.NaN;
      expect((place - 7 * i) % 64).toBe(0); // code begins at a multiple of 64
      expect(file[place]).toBe(7 * i + 1);
    }
    expect(find("function_9")).toBeUndefined();
    expect(find("")).toBeUndefined();
  });

  test("no segment is writable and executable; code lies in one that is executable; stacks are not", () => {
    const { code, symbols } = assembleKernels();
    const file = sharedLibrary(code, symbols);
    const { segments, find } = readLibrary(file);
    const [WRITE, EXECUTE, LOAD, STACK] = [2, 1, 1, 0x6474e551];
    for (const { flags } of segments) expect(flags & (WRITE | EXECUTE)).not.toBe(WRITE | EXECUTE);
    const entry = find("native") ?? Number.NaN;
    const holder = segments.find(
      ({ type, address, bytes }) => type === LOAD && entry >= address && entry < address + bytes,
    );
    expect((holder?.flags ?? 0) & EXECUTE).toBe(EXECUTE);
    expect(
      segments.filter(({ type }) => type === STACK).map(({ flags }) => flags & EXECUTE),
    ).toEqual([0]);
    expect(file.subarray(entry, entry + code.length)).toEqual(code);
    // Two segments share no page, or the loader would map one over the other.
    const loaded = segments.filter(({ type }) => type === LOAD);
    const pages = loaded.map(({ address, bytes }) => [address >> 12, (address + bytes - 1) >> 12]);
    expect(pages[1][0]).toBeGreaterThan(pages[0][1]);
    for (const { offset, address } of loaded) expect(offset % 4096).toBe(address % 4096);
  });
});

describe("in this process", () => {
  test(
    "functions are called, through several libraries at once",
    onlyWith("machine code", async () => {
      const { keepLibrary, openFunction, addressOf } = await machineCode();
      const [first, second] = [keepLibrary(adders()), keepLibrary(adders())];
      expect(first).not.toBe(second);
      const words = new BigInt64Array(new SharedArrayBuffer(64));
      const place = addressOf(words.buffer);
      for (const path of [first, second])
        for (const name of ["one", "two", "three"]) openFunction(path, name)(place + 16);
      expect([...words]).toEqual([0n, 0n, 12n, 0n, 0n, 0n, 0n, 0n]);
    }),
  );

  test(
    "what is no library, and a function that is not there, are errors that say so",
    onlyWith("machine code", async () => {
      const { keepLibrary, openFunction } = await machineCode();
      const broken = keepLibrary(new Uint8Array(4096));
      expect(() => openFunction(broken, "one")).toThrow(
        /^the system's loader refuses the machine code/,
      );
      const good = keepLibrary(adders());
      expect(() => openFunction(good, "four")).toThrow(
        /^the system's loader refuses the machine code/,
      );
    }),
  );

  test(
    "the file cannot be changed any more, and no page is writable and executable",
    onlyWith("machine code", async () => {
      const { keepLibrary, openFunction } = await machineCode();
      const path = keepLibrary(adders());
      openFunction(path, "one");
      const { openSync, writeSync, closeSync } = await import("node:fs");
      const file = openSync(path, "r+");
      expect(() => writeSync(file, "x")).toThrow(/EPERM/);
      closeSync(file);
      const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
      const ours = maps.filter((line) => line.includes("mistral-kernels"));
      expect(ours.map((line) => line.split(" ")[1])).toContain("r-xp");
      expect(ours.filter((line) => /^\S+ .w.?x/.test(line))).toEqual([]);
    }),
  );
});
