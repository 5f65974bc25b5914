import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";

import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { root, succeed } from "./command.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, code]) => code,
  );

const folder = mkdtempSync(join(tmpdir(), "mistral-readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The checkpoints that the snippets name are the embedded model here: what is tried is the code. */
for (const name of ["Mistral-7B-v0.1", "Mistral-7B-Instruct-v0.2"]) {
  symlinkSync(join(root, "models/stories"), join(folder, name));
}

describe("every TypeScript snippet", () => {
  const snippets = blocks("ts");

  test("is found", () => {
    expect(snippets).toHaveLength(9);
    expect(blocks("py")).toHaveLength(5);
  });

  test.each(snippets.map((code, i) => [i + 1, code] as const))("%i runs", async (number, code) => {
    const source = pathToFileURL(join(root, "src/index.ts")).href;
    const program = join(folder, `snippet-${number}.ts`);
    // A program that has not disposed of its model goes on living with it.
    const end = code.includes("dispose()") ? "" : "\nawait model.dispose();\n";
    writeFileSync(program, code.replaceAll('"@mistral-ts/mistral"', JSON.stringify(source)) + end);
    const { stdout, stderr } = await succeed("node", [program], { cwd: folder });
    expect(stdout.length).toBeGreaterThan(10);
    expect(stderr).toBe("");
  });

  test("passes the type checker", async () => {
    const paths = { "@mistral-ts/mistral": [join(root, "src/index.ts")] };
    snippets.forEach((code, i) => writeFileSync(join(folder, `typed-${i}.ts`), code));
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

test("the two commands are named as they are, first the one that shows something", () => {
  expect(blocks("sh").slice(0, 2)).toEqual(["npm ci && npm start\n", "npm ci && npm test\n"]);
});

test("every file that a document names is there", () => {
  for (const document of ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]) {
    const text = readFileSync(join(root, document), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)].map(([, path]) => path);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  }
});
