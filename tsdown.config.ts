// Builds dist/ as a mirror of src/: files that name each other by import.meta.url (workers, WASM) find each other there too.

import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type UserConfig } from "tsdown";

const WASM = "backends/wasm";

const config: UserConfig = defineConfig({
  // What is not reached by imports is an entry of its own: the command, and the modules that workers start with.
  entry: [
    "src/index.ts",
    "src/cli.ts",
    "src/engine/worker.ts",
    "src/engine/helper.ts",
    "src/engine/probe-worker.ts",
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
    },
  },
});

export default config;
