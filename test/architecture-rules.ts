// The rules of the repository's form, each a function from a file to its violations. Used by architecture.test.ts, which shows that
// each can fail. Words that must not appear are written so that this file does not hold them either.

export type SourceFile = { readonly path: string; readonly text: string };

export type Rule = {
  readonly name: string;
  /** Files that the rule speaks of. */
  applies(path: string): boolean;
  /** One line a violation. */
  violations(file: SourceFile): string[];
  /** A file that breaks the rule, and one that looks like it but does not. */
  readonly broken: SourceFile;
  readonly sound: SourceFile;
};

/** Folder (or file) of src/ → what it may import besides itself and what all may import (SHARED_BY_ALL). */
const all = ["graph", "formats", "ops", "models", "backends", "text", "checkpoint", "generate"];
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  "did-you-mean.ts": [],
  "show-bytes.ts": [],
  "show-value.ts": [],
  "warn-once.ts": [],
  graph: [],
  formats: [],
  platform: [],
  text: ["platform"],
  hub: ["platform"],
  checkpoint: ["formats", "platform"],
  ops: ["graph", "formats"],
  models: ["ops", "graph"],
  "backends/backend.ts": ["graph"],
  backends: ["backends/backend.ts", "graph", "ops", "formats", "platform"],
  generate: ["graph", "ops", "models", "backends/backend.ts", "text"],
  engine: [...all, "backends/backend.ts", "platform"],
  api: [...all, "backends/backend.ts", "platform", "engine", "hub"],
  "platform/node-version.ts": [],
  "platform/require-node.ts": ["platform/node-version.ts"],
  "index.ts": ["platform/require-node.ts", "api", "generate", "text", "hub"],
  cli: ["api", "index.ts", "platform"],
  "cli.ts": ["platform/node-version.ts", "cli", "api", "index.ts", "platform"],
};
/** Machine code, which is no backend: the CPU backend uses it in these files, and the numbers that both must know. */
const MACHINE_CODE = /^src\/backends\/native\//;
const USES_MACHINE_CODE: readonly string[] = [
  "src/backends/wasm/backend.ts",
  "src/backends/wasm/native-choice.ts",
  "src/backends/wasm/native-families.ts",
  "src/backends/wasm/native-trial.ts",
  "src/backends/wasm/team-control.ts",
  "src/backends/wasm/kernels/native.ts",
  "src/backends/wasm/kernels/native-attention.ts",
  "src/backends/wasm/kernels/native-four-bit.ts",
  "src/backends/wasm/kernels/pack-rows-fixed16.ts",
  "src/backends/wasm/kernels/pack-rows-int8-halves.ts",
  "src/backends/wasm/kernels/native-dense.ts",
];
const SHARED_BY_ALL = [
  "errors.ts",
  "did-you-mean.ts",
  "show-bytes.ts",
  "show-value.ts",
  "warn-once.ts",
];
const NODE_ALLOWED = /^src\/(platform\/|cli\/|cli\.ts$)/;
/** The choice of a backend, and the measurement of a machine by one's kernels. */
const KNOWS_BACKENDS = ["src/engine/backends.ts", "src/engine/probe-worker.ts"];
const CODE = /\.ts$/;
const KERNEL = /^src\/backends\/wasm\/kernels\//;
/** Reference data, whose words are those of texts and vocabularies. Its README and the scripts that made it are ours. */
const DATA = /^test\/goldens\/(?!README|generate\/)/;

/** Where a file of src/ belongs in the table: its folder, or itself. */
function placeOf(path: string): string {
  const inside = path.replace(/^src\//, "");
  return inside in IMPORTS ? inside : inside.split("/")[0];
}

/** Modules that a file names: static and dynamic imports, re-exports, and files by URL, such as workers. */
export function importsOf(text: string): string[] {
  const patterns = [
    /^\s*(?:import|export)\s[^;'"]*?from\s+["']([^"']+)["']/gm,
    /^\s*import\s+["']([^"']+)["']/gm,
    /\bimport\(\s*["']([^"']+)["']/g,
    /\bnew URL\(\s*["'](\.[^"']+)["']/g,
  ];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]));
}

function resolve(from: string, to: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of to.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/**
 * Circles of imports among the files, each as "a → b → a". Imports of types count. At least one for all files that reach each other.
 */
export function importCircles(files: readonly SourceFile[]): string[] {
  const imports = new Map(
    files.map(({ path, text }) => {
      const inside = importsOf(text).filter((name) => name.startsWith("."));
      // Kernels name a module without its ending.
      const targets = inside.map((name) =>
        resolve(path, /\.\w+$/.test(name) ? name : `${name}.ts`),
      );
      return [path, targets] as const;
    }),
  );
  const circles: string[] = [];
  const walk: string[] = [];
  const done = new Set<string>();
  const visit = (path: string): void => {
    if (done.has(path)) return;
    if (walk.includes(path)) {
      circles.push([...walk.slice(walk.indexOf(path)), path].join(" → "));
      return;
    }
    walk.push(path);
    for (const to of imports.get(path) ?? []) visit(to);
    walk.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return circles;
}

/** The code without comments and without what stands in strings. */
export function bare(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (piece) => (piece.startsWith("/") ? "" : '""'));
}

function lines(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

/** Numbers of the lines on which the pattern is found. */
function found(text: string, pattern: RegExp, what: string): string[] {
  return text
    .split("\n")
    .flatMap((line, i) => (pattern.test(line) ? [`line ${i + 1}: ${what}`] : []));
}

const file = (path: string, text: string): SourceFile => ({ path, text });

export const rules: readonly Rule[] = [
  {
    name: "imports go one way",
    applies: (path) => path.startsWith("src/") && CODE.test(path) && !KERNEL.test(path),
    violations({ path, text }) {
      const place = placeOf(path);
      const allowed = IMPORTS[place];
      if (allowed === undefined) return [`${place} is not in the table of imports`];
      return importsOf(text).flatMap((name) => {
        if (name.startsWith("node:")) return [];
        if (name === "#platform") {
          return allowed.includes("platform") ? [] : [`${place} may not import ${name}`];
        }
        if (!name.startsWith(".")) return [`${name}: the runtime has no dependencies`];
        const target = resolve(path, name);
        if (target === "package.json" && place === "cli") return [];
        const to = placeOf(target);
        if (to === "platform" && place !== "platform") return [`${name}: say #platform`];
        const fine = [place, ...allowed, ...SHARED_BY_ALL].includes(to);
        return fine ? [] : [`${place} may not import ${to} (${name})`];
      });
    },
    broken: file("src/models/mistral.ts", 'import type { Backend } from "../backends/backend.ts";'),
    sound: file("src/models/mistral.ts", 'import type { Tensor } from "../graph/graph.ts";'),
  },
  {
    name: "a backend knows no other backend",
    applies: (path) => path.startsWith("src/backends/") && CODE.test(path),
    violations({ path, text }) {
      const own = path.split("/").slice(0, 3).join("/");
      return importsOf(text)
        .filter((name) => name.startsWith("."))
        .map((name) => resolve(path, name))
        .filter((to) => /^src\/backends\/[^/]+\//.test(to) && !to.startsWith(`${own}/`))
        .filter((to) => !(MACHINE_CODE.test(to) && USES_MACHINE_CODE.includes(path)));
    },
    broken: file("src/backends/wasm/program.ts", 'import { x } from "../native/library.ts";'),
    sound: file("src/backends/wasm/backend.ts", 'import { x } from "../native/open-library.ts";'),
  },
  {
    name: "the engine knows one backend from another in one file",
    applies: (path) => path.startsWith("src/engine/") && !KNOWS_BACKENDS.includes(path),
    violations: ({ path, text }) =>
      importsOf(text)
        .filter((name) => name.startsWith("."))
        .map((name) => resolve(path, name))
        .filter((to) => /^src\/backends\/[^/]+\//.test(to)),
    broken: file("src/engine/team.ts", 'import { a } from "../backends/wasm/threads.ts";'),
    sound: file("src/engine/team.ts", 'import type { A } from "../backends/backend.ts";'),
  },
  {
    name: "only the platform and the command know Node and the DOM",
    applies: (path) => path.startsWith("src/") && CODE.test(path) && !NODE_ALLOWED.test(path),
    violations({ text }) {
      const globals = /(?<![.#\w])((process|Buffer|document|navigator)\.|require\()/;
      return [
        ...importsOf(text).filter((name) => name.startsWith("node:")),
        // Looked up on globalThis, it may be missing: that is how portable code asks.
        ...(/\} = globalThis\b/.test(text) ? [] : found(bare(text), globals, "a global")),
      ];
    },
    broken: file("src/text/a.ts", "export const cores = navigator.hardwareConcurrency;"),
    sound: file("src/text/a.ts", "// process.env is the platform's\nconst x = this.document.text;"),
  },
  {
    name: "only the platform knows where files lie",
    applies: (path) =>
      path.startsWith("src/") && CODE.test(path) && !path.startsWith("src/platform/"),
    // What bundlers understand may stay: an asset beside the module, by its whole name.
    violations: ({ text }) =>
      found(
        bare(text.replace(/\bnew URL\(\s*"\.\/[\w.-]+",\s*import\.meta\.url\s*,?\s*\)/g, "asset")),
        /\bimport\.meta\b/,
        "import.meta",
      ),
    broken: file("src/api/a.ts", "const here = import.meta.dirname;"),
    sound: file(
      "src/backends/wasm/a.ts",
      '// not import.meta.dirname\nconst url = new URL("./a.wasm", import.meta.url);',
    ),
  },
  {
    name: "at most 400 lines a file",
    applies: (path) => CODE.test(path),
    violations: ({ text }) => (lines(text) > 400 ? [`${lines(text)} lines`] : []),
    broken: file("src/a.ts", "x;\n".repeat(401)),
    sound: file("src/a.ts", "x;\n".repeat(400)),
  },
  {
    name: "the model has at most 60 lines",
    applies: (path) => path === "src/models/mistral.ts",
    violations: ({ text }) => (lines(text) > 60 ? [`${lines(text)} lines`] : []),
    broken: file("src/models/mistral.ts", "x;\n".repeat(61)),
    sound: file("src/models/mistral.ts", "x;\n".repeat(60)),
  },
  {
    name: "a file opens with at most five lines of comment",
    applies: (path) => CODE.test(path),
    violations({ text }) {
      const header = /^(?:#![^\n]*\n)?((?:\/\/[^\n]*\n|\/\*[\s\S]*?\*\/\n)*)/.exec(text)?.[1] ?? "";
      return lines(header) > 5 ? [`${lines(header)} lines of header`] : [];
    },
    broken: file("src/a.ts", `${"// more\n".repeat(6)}export const x = 1;\n`),
    sound: file("src/a.ts", `${"// more\n".repeat(5)}\n// x is one\nexport const x = 1;\n`),
  },
  {
    name: "every source file says what it is",
    applies: (path) => path.startsWith("src/") && CODE.test(path),
    violations: ({ text }) => (/^(#![^\n]*\n)?\/\//.test(text) ? [] : ["no header"]),
    broken: file("src/a.ts", 'import { b } from "./b.ts";\n'),
    sound: file("src/a.ts", "// What a is.\n"),
  },
  {
    name: "named exports only",
    // Tools look for the default export of their settings.
    applies: (path) => CODE.test(path) && !/[./]config\.ts$/.test(path.replace(/^src\/.*/, "")),
    violations: ({ text }) => found(bare(text), /\bexport\s+default\b|\bas\s+default\b/, "default"),
    broken: file("src/a.ts", "export default 1;"),
    sound: file("src/a.ts", "// no export default here\nexport const x = 1;"),
  },
  {
    name: "files are named after what they define",
    // The Python scripts that made the reference data are kept as they were run.
    applies: (path) => !path.startsWith("test/goldens/generate/"),
    violations: ({ path }) =>
      path.split("/").filter((part) => /^(utils?|helpers|common|misc)(\.|$)/i.test(part)),
    broken: file("src/text/utils.ts", ""),
    sound: file("src/text/utility-pole.ts", ""),
  },
  {
    name: "no value is typed any",
    applies: (path) => CODE.test(path) && !KERNEL.test(path),
    violations: ({ text }) =>
      found(bare(text), /(:|\bas|[<,|&]|=>?)\s*any\b\s*([;,)>\]=|&{[]|$)/, "any"),
    broken: file("src/a.ts", "export function f(x: any): void {}"),
    sound: file("src/a.ts", '// of any kind\nconst text = "x: any";\nconst any = 1;'),
  },
  {
    name: "the type checker is not silenced",
    applies: (path) => CODE.test(path) && !KERNEL.test(path),
    violations: ({ text }) => found(text, /@ts-(ignore|nocheck|expect-error)\b/, "silenced"),
    broken: file("src/a.ts", ["// @ts-", "ignore\n"].join("")),
    sound: file("src/a.ts", "// the ts-node of old would ignore it\n"),
  },
  {
    name: "no test is skipped or runs alone",
    applies: (path) => path.startsWith("test/") && CODE.test(path),
    violations: ({ text }) =>
      found(bare(text), /\b(test|it|describe)\.(skip|only|todo|fails)\b/, "not run as written"),
    broken: file("test/a.test.ts", 'test.skip("a", () => {});'),
    sound: file("test/a.test.ts", 'test("skips", () => stream.skip(3));'),
  },
  {
    name: "nothing is left for later",
    applies: (path) => !path.startsWith("models/") && !DATA.test(path),
    violations: ({ text }) => found(text, /\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/, "unfinished"),
    broken: file("README.md", ["TO", "DO: write this"].join("")),
    sound: file("README.md", "all that there is to do"),
  },
  {
    name: "Node runs the sources as they are: no enum, namespace or parameter property",
    applies: (path) => CODE.test(path) && !KERNEL.test(path),
    violations: ({ text }) =>
      found(
        bare(text),
        /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s|^\s*(export\s+)?namespace\s+\w+\s*\{|constructor\(([^)]*,)?\s*(private|public|protected|readonly)\s+\w+\s*[?:]/,
        "not erasable",
      ),
    broken: file("src/a.ts", "export enum Color { Red }"),
    sound: file("src/a.ts", "// an enum would be\nconst enumerate = 1;"),
  },
  {
    name: "no file names a package registry, a mirror or a path of one machine",
    applies: (path) => !path.startsWith("models/"),
    violations({ text }) {
      const host =
        /https?:\/\/[\w.-]*(registry|npmjs|yarnpkg|artifactory|jfrog|nexus|mirror)[\w.-]*/i;
      const path = /(?<![\w.-])\/(home|Users|root|work)\/[\w.-]+|\b[A-Z]:\\+Users\\+(?!name\b)\w/;
      return [...found(text, host, "a registry's host"), ...found(text, path, "a machine's path")];
    },
    broken: file("package-lock.json", ["https:", "registry.example.org/a.tgz"].join("//")),
    sound: file(
      "a.json",
      '"https://example.org/homework/a.tgz", "C:\\\\Users\\\\name\\\\file.txt"',
    ),
  },
  {
    name: "errors are of the five classes",
    applies: (path) => path.startsWith("src/") && CODE.test(path) && path !== "src/errors.ts",
    violations({ path, text }) {
      const code = bare(text);
      const classes = [...code.matchAll(/class\s+(\w+)\s+extends\s+\w*Error\b/g)].map((m) => m[1]);
      return [
        ...classes.filter((name) => INTERNAL_ERRORS[name] !== path).map((name) => `class ${name}`),
        ...found(code, /\bthrow new (Error|TypeError|RangeError|SyntaxError)\(/, "a bare error"),
      ];
    },
    broken: file("src/text/a.ts", "export class TokenError extends Error {}"),
    sound: file("src/text/a.ts", '// never throw new Error(…)\nthrow new InputError("x");'),
  },
];

/** Thrown and caught inside the package; no caller ever sees one. */
const INTERNAL_ERRORS: Readonly<Record<string, string>> = {
  Aborted: "src/backends/backend.ts",
  CallAborted: "src/engine/worker.ts",
  JsonSyntaxError: "src/checkpoint/json-reader.ts",
};
