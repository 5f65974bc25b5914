// `mistral bench`: its reports from a made-up result, and the command as people start it.

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { drawing } from "../../src/cli/bench-picture.ts";
import { asMarkdown, asText, type BenchReport } from "../../src/cli/bench-report.ts";
import { goldenPath } from "../golden-files.ts";
import { fakeStream } from "./fake-stream.ts";

const cli = join(import.meta.dirname, "../../src/cli.ts");
const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** `TMPDIR` is a folder of the test's own, so that what is left behind is seen. */
const bench = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [cli, "bench", ...args], {
    env: { ...process.env, TMPDIR: folder, NO_COLOR: "1", FORCE_COLOR: undefined },
  });

const common = { depth: 0, samples: [100], standard_deviation: 2 };
const made: BenchReport = {
  model: {
    ...{ name: "a|b <7b>", layers: 4, dtype: "bfloat16", weight_bytes: 4.1e9 },
    ...{ quantization: "q4", compute_dtype: "int8", cache_dtype: null },
  },
  machine: {
    ...{ runtime: "Node 26.10.0", system: "linux x64", cpu: "A & B", instructions: ["avx2"] },
    load_before: 0.1,
    kernels: {
      ...{ kernels: "relaxed-simd", dot_sum_bits: 16, vector_bits: 256 },
      machine_code: { used: ["8-bit products with AVX-512 VNNI"], not_used: [] },
    },
    limits: {
      threads: 2,
      memory_bytes_per_second: 40e9,
      int8_operations_per_second: 300e9,
      float32_operations_per_second: 100e9,
    },
  },
  load_seconds: 2.5,
  peak_memory_bytes: 4.4e9,
  tests: [
    {
      ...{ ...common, test: "pp512", kind: "prefill", tokens: 512, mean: 80 },
      ...{ operations_per_second: 150e9, weight_bytes_per_second: 1e9 },
    },
    {
      ...{ ...common, test: "tg128", kind: "decode", tokens: 128, mean: 20 },
      ...{ operations_per_second: 1e9, weight_bytes_per_second: 30e9 },
    },
  ],
};

test("text: prompts against arithmetic, decoding against memory", () => {
  const text = asText(made, fakeStream({ isTTY: false }));
  expect(text.split("\n")).toEqual([
    "a|b <7b> · q4, computed in int8 · 4.1 GB",
    "  test       tokens/s  reached",
    "  pp512  80.00 ± 2.00  150 of 300 GOPS (50 %)",
    "  tg128  20.00 ± 2.00  30.0 of 40.0 GB/s (75 %)",
    "  loaded in 2.5 s, peak memory 4.4 GB",
    "  kernels: relaxed-simd, 256 bits; machine code for 8-bit products with AVX-512 VNNI",
    "  A & B (avx2), 2 threads, Node 26.10.0, linux x64",
    "",
  ]);
});

test("a model that is not quantised is held against float32; a busy machine is named", () => {
  const model = { ...made.model, quantization: null };
  const busy = { ...made, model, machine: { ...made.machine, load_before: 3 } };
  const text = asText(busy, fakeStream({ isTTY: false }));
  expect(text).toContain("150 of 100 GFLOPS (150 %)");
  expect(text).toContain("other programs were running (load 3.0): the figures are disturbed");
  expect(asMarkdown(busy)).toContain("the figures are disturbed");
});

test("Markdown: one row a test, bars in names escaped", () => {
  const lines = asMarkdown(made).split("\n");
  expect(lines.slice(0, 2)).toEqual([
    "| model | test | tokens/s | reached |",
    "| --- | --- | ---: | --- |",
  ]);
  expect(lines[2]).toBe(
    "| a\\|b <7b> · q4, computed in int8 · 4.1 GB | pp512 | 80.00 ± 2.00 | 150 of 300 GOPS (50 %) |",
  );
});

test("the picture: bars as long as the share of the limit, text escaped", () => {
  const svg = drawing(made);
  const bars = [...svg.matchAll(/class="bar"[^>]* width="([\d.]+)"/g)].map(([, width]) => width);
  const room = /class="room"[^>]* width="([\d.]+)"/.exec(svg)?.[1];
  expect(bars.map((width) => Number(width) / Number(room))).toEqual([0.5, 0.75]);
  expect(svg).toContain("a|b &lt;7b&gt;");
  expect(svg).toContain("A &amp; B");
  expect(svg.replace(/<[^<>]*>/g, "")).not.toMatch(/[<>]/);
});

test("a random model is measured and leaves nothing behind; JSON holds every sample", async () => {
  const picture = join(folder, "picture.svg");
  const { stdout, stderr } = await bench(
    ...["--shape", "tiny", "--layers", "2", "--pp", "40", "--tg", "8", "--depth", "16"],
    ...["--reps", "3", "--json", "--threads", "1", "--svg", picture],
  );
  expect(stderr).toContain(`wrote the picture to ${picture}\n`);
  const { model, machine, tests, load_seconds, peak_memory_bytes } = JSON.parse(
    stdout,
  ) as BenchReport;
  expect(model).toMatchObject({ name: "random tiny, 2 layers", layers: 2, quantization: null });
  expect(tests.map(({ test: name }) => name)).toEqual(["pp40 @ 16", "tg8 @ 16"]);
  for (const { samples, mean, standard_deviation } of tests) {
    expect(samples).toHaveLength(3);
    expect(mean).toBeCloseTo(samples.reduce((a, b) => a + b) / 3, 6);
    expect(Math.min(...samples)).toBeGreaterThan(0);
    expect(standard_deviation).toBeGreaterThan(0);
  }
  // By the arithmetic of the shape: 2 layers of 64 × (64 + 32 + 32 + 64) + 3 · 64 · 160 weights, and the head for one row.
  const [pp] = tests;
  const layers = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 160);
  expect(pp.operations_per_second).toBeCloseTo((2 * (layers * 40 + 640 * 64) * pp.mean) / 40, 0);
  expect(machine.limits).toMatchObject({ threads: 1 });
  expect(machine.limits.memory_bytes_per_second).toBeGreaterThan(1e9);
  expect(load_seconds).toBeGreaterThan(0);
  expect(peak_memory_bytes).toBeGreaterThan(2e7);
  expect(readFileSync(picture, "utf8")).toMatch(/^<svg [^]*<\/svg>\n$/);
  expect(readdirSync(folder)).toEqual(["picture.svg"]);
});

test("a GGUF file is measured by its own bytes", async () => {
  const file = goldenPath("models/base-gguf/model-q8_0.gguf");
  const { stdout } = await bench(file, "--pp", "0", "--tg", "4", "--reps", "1", "--json", "-q");
  const { model, tests } = JSON.parse(stdout) as BenchReport;
  expect(model).toMatchObject({ name: "model-q8_0.gguf", quantization: "GGUF" });
  const [{ mean, weight_bytes_per_second: rate }] = tests;
  // All but the embedding: 3 layers and the head of 8.5 bits a weight, and the norms.
  const weights = 3 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 160) + 640 * 64;
  expect(rate / mean / ((weights * 8.5) / 8)).toBeCloseTo(1, 1);
});

test.each([
  [["--pp", "0", "--tg", "0"], /leave nothing to measure/],
  [["--layers", "2"], /name its shape too/],
  [["--shape", "tiny", "somewhere"], /not both/],
  [["--shape", "mistral7b"], /did you mean "mistral-7b"/],
  [["--shape", "tiny", "--pp", "600"], /600 tokens are needed.*lower --pp/],
  [["--rep", "3"], /did you mean "--reps"/],
])("%j is refused", async (args, message) => {
  const failed: unknown = await bench(...args, "-q").catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  expect(readdirSync(folder).filter((name) => name !== "picture.svg")).toEqual([]);
});
