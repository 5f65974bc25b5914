// The README and the guides in docs/: every TypeScript snippet runs and passes the type checker, every link leads somewhere, and a
// translated page has the same snippets. The site itself is built by `npm run docs`, which needs packages of its own.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { root, succeed } from "./command.ts";

const text = (path: string): string => readFileSync(join(root, path), "utf8");
const pagesIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${folder}/${name}`);
const guides = pagesIn("docs/guide");
const translated = [...pagesIn("docs/ko"), ...pagesIn("docs/ko/guide")];
const documents = [
  ...["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/index.md"],
  ...["docs/reference/surface.md", "test/goldens/README.md", "models/stories/README.md"],
  ...guides,
  ...translated,
];

const blocks = (path: string, language: string): string[] =>
  [...text(path).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, code]) => code,
  );

const folder = mkdtempSync(join(tmpdir(), "mistral-documents-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A hub cache in which the checkpoints that the snippets name are the embedded model: what is tried is the code. */
for (const name of ["Mistral-7B-v0.1", "Mistral-7B-Instruct-v0.2", "Mistral-7B-Instruct-v0.3"]) {
  const repository = join(folder, `hub/models--mistralai--${name}`);
  const commit = "0".repeat(40);
  mkdirSync(join(repository, "refs"), { recursive: true });
  writeFileSync(join(repository, "refs/main"), commit);
  cpSync(join(root, "models/stories"), join(repository, "snapshots", commit), { recursive: true });
}
const env = { HF_HUB_CACHE: join(folder, "hub"), HF_HUB_OFFLINE: "1" };

describe("every TypeScript snippet", () => {
  const snippets = ["README.md", ...guides].flatMap((path) =>
    blocks(path, "ts").map((code, i) => ({ name: `${path}, ${i + 1}`, code })),
  );

  test("is found", () => {
    expect(blocks("README.md", "ts")).toHaveLength(3);
    expect(blocks("docs/guide/mistral.md", "ts")).toHaveLength(5);
    expect(snippets.length).toBeGreaterThan(12);
  });

  test.each(snippets)("$name runs", async ({ name, code }) => {
    const source = pathToFileURL(join(root, "src/index.ts")).href;
    const program = join(folder, `${name.replaceAll(/\W+/g, "-")}.ts`);
    // A program that has not disposed of its model goes on living with it.
    const isOpen = code.includes("const model =") && !code.includes("dispose()");
    const end = isOpen ? "\nawait model.dispose();\n" : "";
    writeFileSync(program, code.replaceAll('"@mistral-ts/mistral"', JSON.stringify(source)) + end);
    const { stdout, stderr } = await succeed("node", [program], { cwd: folder, env });
    expect(stdout).not.toBe("");
    expect(stderr).toBe("");
  });

  test("passes the type checker", async () => {
    const paths = { "@mistral-ts/mistral": [join(root, "src/index.ts")] };
    snippets.forEach(({ code }, i) => writeFileSync(join(folder, `typed-${i}.ts`), code));
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: join(root, "tsconfig.json"),
        compilerOptions: { paths, typeRoots: [join(root, "node_modules/@types")] },
        include: [join(folder, "typed-*.ts")],
        exclude: [],
      }),
    );
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    expect((await succeed("tsc", ["-p", folder])).stdout).toBe("");
  });
});

test("the README names its two commands as they are, first the one that shows something, in at most 200 lines", () => {
  expect(blocks("README.md", "sh").slice(0, 2)).toEqual([
    "npm ci && npm start\n",
    "npm ci && npm test\n",
  ]);
  expect(text("README.md").split("\n").length).toBeLessThanOrEqual(200);
});

describe("links", () => {
  test.each(documents)("of %s lead to files of the project", (path) => {
    const links = [
      ...[...text(path).matchAll(/\]\((?!https?:|#|\/)([^)#\s]+)[^)]*\)/g)].map(([, link]) => link),
      ...[...text(path).matchAll(/(?:src|srcset)="(?!https?:)([^"]+)"/g)].map(([, link]) => link),
    ];
    const missing = links
      .map((link) => normalize(join(dirname(path), link)))
      // Made from the docstrings when the site is built.
      .filter((target) => !target.startsWith("docs/reference/api/"))
      .filter((target) => !existsSync(join(root, target)));
    expect(missing).toEqual([]);
  });
});

describe("the Korean pages", () => {
  test("are those that there are in English", () => {
    expect(pagesIn("docs/ko/guide").map((path) => path.replace("/ko/", "/"))).toEqual(guides);
  });

  test.each(pagesIn("docs/ko/guide"))("%s has the snippets of the English page", (path) => {
    for (const language of ["ts", "sh"]) {
      const code = (of: string): string[] =>
        blocks(of, language).map((block) => block.replace(/[ \t]*(?:\/\/|#) .*$/gm, ""));
      expect(code(path)).toEqual(code(path.replace("/ko/", "/")));
    }
  });
});
