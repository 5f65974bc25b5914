// Records the bytes of machine instructions for test/native/encodings.test.ts: assembles each of its cases, has GNU objdump disassemble the
// bytes, and writes them to test/native/encodings.json where the disassembler reads what the case says. Needs binutils; tests do not.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Assembler } from "../src/backends/native/assembler.ts";
import { encodingCases } from "../test/native/encoding-cases.ts";

/** Bytes of a case's place: no instruction is longer than 15. */
const PLACE = 64;
const NOP = 0x90;

const folder: string = mkdtempSync(join(tmpdir(), "encodings-"));
try {
  const codes: Uint8Array[] = encodingCases.map(({ emit }) => {
    const a = new Assembler();
    emit(a);
    return a.finish();
  });
  const all = new Uint8Array(PLACE * codes.length).fill(NOP);
  codes.forEach((code, i) => all.set(code, PLACE * i));
  const path = join(folder, "code.bin");
  writeFileSync(path, all);
  const lines = execFileSync(
    "objdump",
    ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "-w", path],
    { encoding: "utf8", maxBuffer: 2 ** 28 },
  ).split("\n");
  const read = new Map<number, string>();
  for (const line of lines) {
    const [place, , text] = line.split("\t");
    if (text !== undefined) read.set(Number.parseInt(place, 16), text);
  }
  const wrong = encodingCases.flatMap(({ text }, i) => {
    const got = normal(read.get(PLACE * i) ?? "nothing", PLACE * i);
    return got === text ? [] : [`${text}: ${hex(codes[i])} is read as ${got}`];
  });
  if (wrong.length > 0) {
    process.stderr.write(`${wrong.join("\n")}\n${wrong.length} encodings are wrong\n`);
    process.exitCode = 1;
  } else {
    const table = Object.fromEntries(encodingCases.map(({ text }, i) => [text, hex(codes[i])]));
    const target = new URL("../test/native/encodings.json", import.meta.url);
    writeFileSync(target, `${JSON.stringify(table, undefined, 2)}\n`);
    process.stdout.write(`${Object.keys(table).length} encodings\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** objdump's text without sizes of memory and comments; the targets of jumps count from `start`. */
function normal(text: string, start: number): string {
  return text
    .replace(/\s+#.*$/, "")
    .replace(/[A-Z]+ BCST /, "bcst ")
    .replace(/[A-Z]+ PTR /, "")
    .replace(/\s+/, " ")
    .replace(/^rex /, "") // a prefix without effect
    .replace(/^((?:j\w+|call) )0x([0-9a-f]+)$/, (_, name: string, target: string) => {
      return `${name}0x${(Number.parseInt(target, 16) - start).toString(16)}`;
    })
    .trim();
}

function hex(code: Uint8Array): string {
  return Buffer.from(code).toString("hex");
}
