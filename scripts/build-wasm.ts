// Compiles the kernels (AssemblyScript) into src/backends/wasm/: kernels.wasm with relaxed SIMD, kernels-plain.wasm without.
// generate-tiles.ts writes some of the sources first. Does nothing if both files are newer than every source.
// Optimises with -O1: with the higher levels of the compiler, V8's machine code is up to two times slower. Knows no kernel.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";
import { tiles } from "./generate-tiles.ts";

const folder: string = fileURLToPath(new URL("../src/backends/wasm/", import.meta.url));
writeTiles(join(folder, "kernels/generated"));
const sources: string[] = readdirSync(join(folder, "kernels"), { recursive: true }).map((name) =>
  join(folder, "kernels", String(name)),
);

const builds: Readonly<Record<string, readonly string[]>> = {
  "kernels.wasm": ["--enable", "relaxed-simd"],
  "kernels-plain.wasm": [],
};

for (const [name, features] of Object.entries(builds)) {
  const target = join(folder, name);
  if (isNewer(target, [...sources, fileURLToPath(import.meta.url)])) continue;
  const args = [
    ...[join(folder, "kernels/index.ts"), "--outFile", target, "-O1"],
    ...["--enable", "simd", "--enable", "threads", ...features],
    ...[
      "--importMemory",
      "--sharedMemory",
      "--memoryBase",
      "256",
      "--initialMemory",
      "1",
      "--maximumMemory",
      "65536",
    ],
    ...["--runtime", "stub", "--noAssert", "--use", "abort="],
  ];
  const { error } = await main(args, { stderr: process.stderr });
  if (error !== null) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

/** Writes the generated kernels, unless the file has this text already. */
function writeTiles(to: string): void {
  const path = join(to, "tiles.ts");
  const text = tiles();
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  mkdirSync(to, { recursive: true });
  writeFileSync(path, text);
}

function isNewer(target: string, than: readonly string[]): boolean {
  if (!existsSync(target)) return false;
  const built = statSync(target).mtimeMs;
  return than.every((path) => statSync(path).mtimeMs < built);
}
