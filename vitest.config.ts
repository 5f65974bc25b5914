// Tests run on Node's own platform file; those of the engine's workers run again on two files of test/platform/, which are to
// `#platform` what pages of a browser are. Node finds the file by a condition of package.json's imports, in workers too.

import { defineConfig } from "vitest/config";

/** What runs on other platform files too: what starts workers, talks to them, stops them and fills their memories. */
const everyPlatform = [
  "test/platform/*.test.ts",
  "test/engine/*.test.ts",
  "test/api/{cache,forward,generate,machine-limits,streaming}.test.ts",
];

const onPlatform = (condition: string, include: string[]): object => ({
  extends: true,
  ssr: { resolve: { conditions: [condition] } },
  test: { name: condition, include, env: { MISTRAL_TEST_PLATFORM: condition } },
});

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: process.env.MISTRAL_FULL ? [] : ["test/full/**"],
        },
      },
      onPlatform("test-page", everyPlatform),
      onPlatform("test-isolated-page", ["test/platform/*.test.ts", "test/engine/death.test.ts"]),
    ],
  },
}) as object;
