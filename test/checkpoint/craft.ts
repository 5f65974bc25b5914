// Makes safetensors files and folders for tests, right ones and wrong ones, independently of src/checkpoint.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

export type CraftedTensor = { dtype: string; shape: number[]; data_offsets: [number, number] };

/** A file: header length, header text, data. `length` overrides the length that the first 8 bytes tell. */
export function craft(
  header: string | Uint8Array | Record<string, unknown>,
  data: Uint8Array | number,
  length?: bigint,
): Uint8Array<ArrayBuffer> {
  const text =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = typeof data === "number" ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + text.length + bytes.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  file.set(bytes, 8 + text.length);
  return file;
}

/** A tensor of f32 at [begin, begin + 4 · elements). */
export function f32Tensor(begin: number, ...shape: number[]): CraftedTensor {
  const bytes = 4 * shape.reduce((product, size) => product * size, 1);
  return { dtype: "F32", shape, data_offsets: [begin, begin + bytes] };
}

/** A temporary folder with these files, gone after the test. */
export function folder(files: Record<string, Uint8Array | string> = {}): string {
  const dir = mkdtempSync(join(tmpdir(), "mistral-test-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}

/** A source of bytes in memory, as the header reader takes one; counts what is asked for. */
export function source(file: Uint8Array): {
  size: number;
  largestRead: number;
  readInto(target: Uint8Array<ArrayBufferLike>, offset: number): Promise<void>;
} {
  return {
    size: file.length,
    largestRead: 0,
    async readInto(target, offset) {
      if (offset + target.length > file.length)
        throw new Error("a read beyond the end of the file");
      this.largestRead = Math.max(this.largestRead, target.length);
      target.set(file.subarray(offset, offset + target.length));
    },
  };
}
