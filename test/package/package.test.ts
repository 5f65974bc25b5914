import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importsOf } from "../architecture-rules.ts";
import { goldenJson } from "../golden-files.ts";
import { type Bundler, BUNDLERS } from "./bundlers.ts";
import { root, run, succeed } from "./command.ts";

type Manifest = {
  name: string;
  version: string;
  bin: Record<string, string>;
  exports: Record<string, string | Record<string, string>>;
  scripts: Record<string, string>;
  dependencies?: object;
  optionalDependencies?: object;
  peerDependencies?: object;
};

const folder = mkdtempSync(join(tmpdir(), "mistral-package-"));
const installed = join(folder, "project");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
const packed = (path: string): string => join(installed, "node_modules", manifest.name, path);
let files: string[] = [];

/** What `npm pack` makes, which builds first, installed into an empty project without a network. */
beforeAll(async () => {
  const pack = ["pack", "--json", "--foreground-scripts=false", "--pack-destination", folder];
  const { stdout } = await succeed("npm", pack);
  const [tarball] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  files = tarball.files.map((file) => file.path);
  mkdirSync(installed);
  writeFileSync(join(installed, "package.json"), '{ "name": "project", "type": "module" }\n');
  await succeed(
    "npm",
    ["install", "--offline", "--no-audit", "--no-fund", join(folder, tarball.filename)],
    {
      cwd: installed,
    },
  );
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Whether a module that ends a bundler's build imports its own message. */
const isRefusal = (file: string, name: string): boolean =>
  /^dist\/(?:not-for-bundlers|no-browser-entry)\.js$/.test(file) && name.includes(" ");

describe("what is published", () => {
  test("is what package.json names, and nothing of the workshop", () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );
    expect(files).toContain("dist/examples/hello.ts");
    for (const target of [...targets, ...Object.values(manifest.bin)]) {
      expect(files).toContain(posix.normalize(target));
    }
    expect(files.filter((file) => !/^(dist|models\/stories)\//.test(file)).toSorted()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "NOTICE",
      "README.md",
      "package.json",
    ]);
  });

  test("has no install script and needs no other package", () => {
    // npm runs `prepare` for git and folders only
    const scripts = ["preinstall", "install", "postinstall", "prepublish"];
    expect(Object.keys(manifest.scripts).filter((name) => scripts.includes(name))).toEqual([]);
    const { dependencies, optionalDependencies, peerDependencies } = manifest;
    expect({ ...dependencies, ...optionalDependencies, ...peerDependencies }).toEqual({});
  });

  test("publint has nothing to say", async () => {
    const { stdout } = await succeed("publint", ["--strict", "--pack", "false", packed("")]);
    expect(stdout).toContain("All good!");
  });

  test("every module that a file names is there, workers and WASM too", () => {
    const modules = files.filter((file) => /^dist\/.*\.(js|d\.ts)$/.test(file));
    expect(modules.length).toBeGreaterThan(100);
    const missing = modules.flatMap((file) =>
      importsOf(readFileSync(packed(file), "utf8"))
        .filter((name) => !name.startsWith("node:") && !isRefusal(file, name))
        // A declaration names a module, of which only the declaration need be there.
        .map((name) => (file.endsWith(".d.ts") ? name.replace(/\.js$/, ".d.ts") : name))
        .filter((name) => !name.startsWith(".") || !existsSync(packed(join(dirname(file), name))))
        .map((name) => `${file}: ${name}`),
    );
    expect(missing).toEqual([]);
    const byName = ["worker", "helper", "probe-worker", "quantize-worker"].map(
      (name) => `engine/${name}.js`,
    );
    for (const path of [...byName, "backends/wasm/kernels.wasm"]) {
      expect(files).toContain(`dist/${path}`);
    }
  });

  test("takes at most 3 MB packed, without the embedded model", () => {
    const own = files.filter((file) => !file.startsWith("models/"));
    const bytes = own.reduce((sum, file) => sum + gzipSync(readFileSync(packed(file))).length, 0);
    expect(bytes).toBeLessThan(3e6);
    expect(bytes).toBeGreaterThan(1e5);
  });
});

describe("the public surface", () => {
  test("is the one in surface.txt; a change of it is a decision", async () => {
    const outDir = join(folder, "surface");
    await build({
      ...{ cwd: root, config: false, entry: "src/index.ts", outDir, platform: "neutral" },
      ...{ dts: { emitDtsOnly: true }, logLevel: "error", fixedExtension: false },
    });
    const text = readFileSync(join(outDir, "index.d.ts"), "utf8");
    await expect(text).toMatchFileSnapshot("surface.txt");
  });

  test.each([
    { module: "nodenext", moduleResolution: "nodenext" },
    { module: "preserve", moduleResolution: "bundler" },
  ])("type-checks with $moduleResolution, knowing neither Node nor a page", async (modules) => {
    writeFileSync(join(installed, "typed.ts"), TYPED);
    const compilerOptions = {
      ...{ strict: true, noEmit: true, target: "es2025", types: [], ...modules },
      ...{ lib: ["es2025", "esnext"], skipLibCheck: false },
    };
    writeFileSync(
      join(installed, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["typed.ts"] }),
    );
    await succeed("tsc", ["-p", installed]);
    writeFileSync(join(installed, "typed.ts"), TYPED.replace("max_new_tokens: 3", "max_tokens: 3"));
    const wrong = await run("tsc", ["-p", installed]);
    expect(wrong.stdout).toContain("'max_tokens' does not exist");
  });
});

const TYPED = `
import { AutoModelForCausalLM, type Tensor } from "${manifest.name}";
const model = await AutoModelForCausalLM.from_pretrained("folder");
const ids: Tensor = await model.generate({ input_ids: [[1]], max_new_tokens: 3 });
const logits: readonly number[] = (await model({ input_ids: ids })).logits.dims;
void logits;
`;

const PROGRAM = `
import { AutoModelForCausalLM, AutoTokenizer, defaultModel } from "${manifest.name}";
const folder = await defaultModel();
const tokenizer = await AutoTokenizer.from_pretrained(folder);
const model = await AutoModelForCausalLM.from_pretrained(folder);
const inputs = tokenizer("Once upon a time", { return_tensors: "pt" });
const ids = await model.generate({ ...inputs, max_new_tokens: 40, do_sample: false });
console.log(JSON.stringify({ ids: ids.tolist()[0], text: tokenizer.decode(ids.tolist()[0]) }));
await model.dispose();
`;

describe("installed in an empty project", () => {
  test("a program generates the embedded model's golden text", async () => {
    writeFileSync(join(installed, "program.js"), PROGRAM);
    const { stdout, stderr } = await succeed("node", ["program.js"], { cwd: installed });
    const { ids, text } = JSON.parse(stdout) as { ids: number[]; text: string };
    type Golden = { cases: { kind: string; prompt: string; sequence: number[] }[] };
    const { cases } = goldenJson<Golden>("stories/model/golden.json");
    const golden = cases.find(({ prompt }) => prompt === "Once upon a time");
    expect(ids).toEqual(golden?.sequence.slice(0, 5 + 40));
    expect(text).toMatch(/^<s> ?Once upon a time/);
    expect(stderr).toBe("");
  });

  test.runIf(process.platform === "linux")(
    "under a limit of addresses it takes smaller memories, or says that there are too few",
    async () => {
      const limited = (kilobytes: number, threads: number): ReturnType<typeof run> => {
        const program = PROGRAM.replace("defaultModel }", "defaultModel, env }");
        const set = `\nenv.wasm.threads = ${threads};\nconst folder`;
        writeFileSync(join(installed, "limited.js"), program.replace("\nconst folder", set));
        const command = `ulimit -v ${kilobytes} && exec node limited.js`;
        return run("bash", ["-c", command], { cwd: installed });
      };
      const small = await limited(6_000_000, 2);
      expect(small).toMatchObject({ code: 0, stderr: "" });
      expect(small.stdout).toMatch(/Once upon a time/);
      const tooFew = await limited(3_500_000, 4);
      expect(tooFew.code).toBe(1);
      expect(tooFew.stderr).toMatch(/MemoryError: no addresses are left for another WebAssembly/);
    },
  );

  test("under an older Node the first thing that is read says which one is needed", async () => {
    writeFileSync(
      join(installed, "older.js"),
      'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.1.0" } });',
    );
    const args = ["--import", "./older.js", "-e", `import(${JSON.stringify(manifest.name)})`];
    const { code, stderr } = await run("node", args, { cwd: installed });
    expect(code).toBe(1);
    expect(stderr).toMatch("@mistral-ts/mistral: Node 24 or newer is needed");
    expect(readFileSync(packed("dist/index.js"), "utf8")).toMatch(
      /^import "\.\/platform\/require-node\.js";/,
    );
  });

  test("the command tells a story to standard output, the same for the same seed", async () => {
    const bin = join(installed, "node_modules/.bin/mistral");
    const story = async (seed: string): Promise<string> => {
      const args = ["run", "Once upon a time", "--seed", seed, "--max-new-tokens", "30"];
      return (await succeed(bin, args, { cwd: installed })).stdout;
    };
    const first = await story("1");
    expect(first.length).toBeGreaterThan(60);
    expect(await story("1")).toBe(first);
    expect(await story("2")).not.toBe(first);
  });

  test("the command knows its version", async () => {
    const bin = join(installed, "node_modules/.bin/mistral");
    const { stdout } = await succeed(bin, ["--version"], { cwd: installed });
    expect(stdout).toContain(manifest.version);
  });
});

describe.each(Object.entries(BUNDLERS))("a program bundled by %s", (name, bundler) => {
  const outFile = join(installed, `bundled-${name}.mjs`);
  const bundled = (browser: boolean, external?: string): ReturnType<Bundler> => {
    const entry = join(installed, "hello.js");
    const hello = readFileSync(packed("dist/examples/hello.ts"), "utf8"); // no types: JavaScript as it is
    writeFileSync(entry, hello);
    return bundler({ entry, outFile, browser, external });
  };

  test("runs on Node with this package as external", async () => {
    expect(await bundled(false, manifest.name)).toBe("");
    const { stdout, stderr } = await succeed("node", [outFile], { cwd: installed });
    expect(stdout).toMatch(/Once upon a time.{100}/s);
    expect(stderr).toBe("");
  });

  test("is refused without that, with the remedy", async () => {
    expect(await bundled(false)).toContain(
      `mark it as external (esbuild --external:${manifest.name}`,
    );
  });

  test("is refused for a browser", async () => {
    expect(await bundled(true)).toContain("the browser entry does not exist yet");
  });
});
