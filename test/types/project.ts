// A project that uses the package, for questions about its types: the declarations are those of surface.txt, which package.test.ts keeps
// equal to what is published.

import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAME = "@mistral-ts/mistral";

/** Makes the project in a new folder. @param compilerOptions added to strict ones, without Node's types */
export function makeProject(compilerOptions: object = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "mistral-types-"));
  const installed = join(folder, "node_modules", NAME);
  mkdirSync(installed, { recursive: true });
  const surface = join(import.meta.dirname, "../package/surface.txt");
  copyFileSync(surface, join(installed, "index.d.ts"));
  const write = (path: string, value: object): void => writeFileSync(path, JSON.stringify(value));
  write(join(folder, "package.json"), { type: "module" });
  write(join(installed, "package.json"), { name: NAME, type: "module", types: "./index.d.ts" });
  write(join(folder, "tsconfig.json"), {
    compilerOptions: {
      ...{ strict: true, noEmit: true, skipLibCheck: false, module: "nodenext" },
      ...{ target: "es2024", lib: ["es2024"], types: [] },
      ...compilerOptions,
    },
  });
  return folder;
}
