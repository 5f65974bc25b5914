// Builds dist/ as a mirror of src/: files that name each other by import.meta.url (workers, WASM) find each other there too.
// Adds the examples, and what package.json's `exports` give to bundlers and browsers.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defineConfig, type UserConfig } from "tsdown";

const WASM = "backends/wasm";

const NAME = "@mistral-ts/mistral";

/**
 * Modules that end a build: each re-exports a module whose name is the message, and bundlers print the name of what they cannot find.
 * A program that ran without the package's own files would fail later, when it starts the engine's threads.
 */
const REFUSALS: Readonly<Record<string, string>> = {
  "not-for-bundlers.js":
    `${NAME} starts threads from its own files and stays in node_modules: mark it as external ` +
    `(esbuild --external:${NAME}; webpack externals; vite ssr.external)`,
  "no-browser-entry.js": `${NAME}: the browser entry does not exist yet; it runs on Node 24 or newer`,
};

/** Examples import the package by its name, as a program outside this repository does. */
function addExamples(): void {
  for (const name of readdirSync("examples", { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const text = readFileSync(join("examples", name), "utf8");
    const target = join("dist/examples", name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text.replaceAll(/"(?:\.\.\/)+src\/index\.ts"/g, JSON.stringify(NAME)));
  }
}

const config: UserConfig = defineConfig({
  // What is not reached by imports is an entry of its own: the command, and the modules that workers start with.
  entry: [
    "src/index.ts",
    "src/cli.ts",
    "src/engine/worker.ts",
    "src/engine/helper.ts",
    "src/engine/probe-worker.ts",
    "src/engine/quantize-worker.ts",
  ],
  root: "src",
  unbundle: true,
  format: "esm",
  platform: "neutral",
  target: "es2025",
  fixedExtension: false,
  dts: { entry: "src/index.ts" },
  sourcemap: false,
  logLevel: "warn",
  deps: { neverBundle: [/^node:/] },
  hooks: {
    "build:done"() {
      for (const name of readdirSync(join("src", WASM)).filter((file) => file.endsWith(".wasm"))) {
        copyFileSync(join("src", WASM, name), join("dist", WASM, name));
      }
      for (const [name, message] of Object.entries(REFUSALS))
        writeFileSync(join("dist", name), `export * from ${JSON.stringify(message)};\n`);
      addExamples();
    },
  },
});

export default config;
