import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";
import type { Op } from "../src/graph/graph.ts";
import { bare, importCircles, importsOf, rules, type SourceFile } from "./architecture-rules.ts";
import { readGolden } from "./golden-files.ts";

const root = join(import.meta.dirname, "..");
const BINARY = /\.(safetensors|gguf|wasm|png|ico|model|onnx|tgz)(\.br)?$/;

/** Files that git tracks, or would: new ones count before they are committed. Compressed JSON is read as JSON. */
const files: SourceFile[] = execFileSync(
  "git",
  ["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
  { cwd: root, encoding: "utf8" },
)
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)) && !BINARY.test(path))
  .map((path) => ({ path, text: readGolden(join(root, path.replace(/\.br$/, ""))).toString() }));

test("the repository's files are there to be judged", () => {
  const paths = files.map(({ path }) => path);
  expect(paths).toContain("src/models/mistral.ts");
  expect(paths).toContain("package-lock.json");
  expect(paths).toContain("test/architecture-rules.ts");
  expect(paths).toContain("test/goldens/tokenization/tiny.json.br");
});

describe.each(rules.map((rule) => [rule.name, rule] as const))("%s", (_, rule) => {
  test("holds", () => {
    const judged = files.filter(({ path }) => rule.applies(path));
    expect(judged.length).toBeGreaterThan(0);
    const broken = judged.flatMap((file) =>
      rule.violations(file).map((violation) => `${file.path}: ${violation}`),
    );
    expect(broken).toEqual([]);
  });

  test("can fail, and fails for nothing else", () => {
    expect(rule.applies(rule.broken.path)).toBe(true);
    expect(rule.violations(rule.broken)).not.toEqual([]);
    expect(rule.violations(rule.sound)).toEqual([]);
  });
});

describe("imports have no circles", () => {
  const sources = files.filter(({ path }) => path.startsWith("src/") && path.endsWith(".ts"));

  test("holds", () => {
    expect(sources.length).toBeGreaterThan(100);
    expect(importCircles(sources)).toEqual([]);
  });

  test("can fail: a type, a re-export, a kernel", () => {
    const a = { path: "src/text/a.ts", text: 'import type { B } from "../ops/b.ts";' };
    const b = { path: "src/ops/b.ts", text: 'import { x } from "../c.ts";' };
    const c = { path: "src/c.ts", text: 'export { a } from "./text/a.ts";' };
    expect(importCircles([a, b, c])).toEqual([
      "src/text/a.ts → src/ops/b.ts → src/c.ts → src/text/a.ts",
    ]);
    expect(importCircles([a, b])).toEqual([]);
    const kernels = ["d", "e"].map((name, i) => ({
      path: `src/backends/wasm/kernels/${name}.ts`,
      text: `import { f } from "./${"ed"[i]}";`,
    }));
    expect(importCircles(kernels)).toHaveLength(1);
  });

  test("two ways to one file are no circle", () => {
    const of = (name: string, ...to: string[]): SourceFile => ({
      path: `src/${name}.ts`,
      text: to.map((one) => `import { x } from "./${one}.ts";`).join("\n"),
    });
    expect(importCircles([of("a", "b", "c"), of("b", "d"), of("c", "d"), of("d")])).toEqual([]);
  });
});

describe("reading sources", () => {
  test("all ways to name a module are seen", () => {
    const text = [
      'import { a } from "./a.ts";',
      'import type {\n  B,\n} from "./b.ts";',
      'export { c } from "./c.ts";',
      'import "./d.ts";',
      'const e = await import("./e.ts");',
      'new URL("./f.wasm", import.meta.url);',
    ].join("\n");
    expect(importsOf(text).toSorted()).toEqual([
      "./a.ts",
      "./b.ts",
      "./c.ts",
      "./d.ts",
      "./e.ts",
      "./f.wasm",
    ]);
  });

  test("comments and strings are no code", () => {
    expect(bare('a(); // b();\n/* c();\n */ d("e();", `f();`);')).toBe('a(); \n d("", "");');
  });
});

/** Ops that only training records; they have no kernel before there is training on that backend. */
const TRAINING = [
  "add_bias_grad",
  "attention",
  "attention_grad",
  "bce_grad",
  "cross_entropy_grad",
  "embed_grad_table",
  "gather_rows_grad",
  "glu_grad",
  "linear_grad_weight",
  "linear_grad_x",
  "log_softmax_grad",
  "mse_grad",
  "rms_norm_grad",
  "transpose_grad",
];

const dashed = (op: string): string => op.replaceAll("_", "-");
const camel = (op: string): string => op.replace(/_(\w)/g, (_, c: string) => c.toUpperCase());

describe("one op, one name", async () => {
  const folder = join(root, "src/ops");
  const ops = await Promise.all(
    readdirSync(folder).map(async (name) => {
      const module = (await import(join(folder, name))) as Record<string, unknown>;
      const exported = Object.entries(module).filter(([key]) => key.endsWith("Op"));
      return exported.map(([key, op]) => ({ name, key, op: (op as Op).name }));
    }),
  );
  const all = ops.flat();

  test("an op stands in the file of its name, a gradient with its op", () => {
    expect(all.length).toBeGreaterThan(TRAINING.length);
    for (const { name, key, op } of all) {
      expect(`${op} ${key}`).toBe(`${op} ${camel(op)}Op`);
      const file = name.replace(".ts", "");
      expect(dashed(op) === file || dashed(op).startsWith(`${file}-grad`)).toBe(true);
    }
    expect(new Set(all.map(({ op }) => op)).size).toBe(all.length);
  });

  test("every op has a WASM kernel of its name, but those that only training records", () => {
    const kernels = readdirSync(join(root, "src/backends/wasm/kernels"));
    const without = all.map(({ op }) => op).filter((op) => !kernels.includes(`${dashed(op)}.ts`));
    expect(without.toSorted()).toEqual(TRAINING);
  });
});

test("there are five error classes, each under its own name", () => {
  const names = ["CheckpointError", "EngineError", "InputError", "MemoryError", "TemplateError"];
  expect(Object.keys(errors).toSorted()).toEqual(names);
  for (const [name, Class] of Object.entries(errors)) {
    const error = new Class("what happened");
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message]).toEqual([name, "what happened"]);
  }
});
