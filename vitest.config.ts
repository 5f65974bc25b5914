import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: process.env.MISTRAL_FULL ? [] : ["test/full/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
}) as object;
