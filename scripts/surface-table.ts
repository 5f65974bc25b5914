// Writes docs/reference/surface.md: every public name and option of Transformers' Mistral page, and how this package stands to it.
// `node scripts/surface-table.ts`. A test fails when the file is out of date.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Group, groups } from "./surface/names.ts";
import { type Standing, standingOf } from "./surface/standing.ts";

const root = join(import.meta.dirname, "..");
export const tablePath: string = join(root, "docs/reference/surface.md");

const INTRODUCTION = `# Transformers' names, and what they do here

The public names and options of Transformers 5.23 for Mistral, made from the code by \`node scripts/surface-table.ts\`.

| | |
|---|---|
| works | does what it does in Transformers; the test named here fails when it is ignored |
| no effect | accepted, and changes no result |
| refused | an error says so, before anything runs |
| not applicable | has no meaning for this model or on this machine |
`;

/** The whole table. @throws Error names that names.ts and the code disagree about, and tests that do not mention theirs */
export async function surfaceTable(): Promise<string> {
  const parts = [INTRODUCTION];
  const problems: string[] = [];
  for (const group of groups) {
    const rows: string[] = [];
    for (const name of namesOf(group)) {
      try {
        const [standing, remark] = await cellsOf(group, name);
        rows.push(`| \`${name}\` | ${standing} | ${remark.replaceAll("|", "\\|")} |`);
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
    parts.push([`## ${group.title}`, "", "| name | | |", "|---|---|---|", ...rows, ""].join("\n"));
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return parts.join("\n");
}

const words = (text = ""): string[] => text.split(/\s+/).filter((word) => word !== "");

function namesOf(group: Group): string[] {
  const { tests, others, withoutEffect = {}, notApplicable = {} } = group;
  const names = [
    ...Object.values(tests).flatMap(words),
    ...words(others),
    ...Object.keys(withoutEffect),
    ...Object.keys(notApplicable),
  ];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`${group.title}: ${twice} is listed twice`);
  return names;
}

async function cellsOf(group: Group, name: string): Promise<[standing: string, remark: string]> {
  const { place, title, tests, withoutEffect = {}, notApplicable = {} } = group;
  const standing = await standingOf(place, name);
  const test = Object.keys(tests).find((each) => words(tests[each]).includes(name));
  if (test !== undefined) {
    if (standing.kind !== "works") throw disagreement(title, name, standing);
    checkMention(test, name);
    return ["works", test.split(" + ")[0]];
  }
  if (name in notApplicable) return ["not applicable", notApplicable[name]];
  if (name in withoutEffect) {
    if (standing.kind === "refused") throw disagreement(title, name, standing);
    return ["no effect", withoutEffect[name]];
  }
  if (standing.kind === "works") {
    throw new Error(`${title}: ${name} works, and names.ts has no test of it`);
  }
  return [standing.kind, standing.why];
}

function disagreement(title: string, name: string, standing: Standing): Error {
  return new Error(`${title}: the code says of ${name}: ${JSON.stringify(standing)}`);
}

/** @throws Error the test, or the data that it reads, is missing or does not mention the name */
function checkMention(test: string, name: string): void {
  const files = test.split(" + ");
  const missing = files.find((file) => !existsSync(join(root, file)));
  if (missing !== undefined) throw new Error(`${missing}: no such file, named for ${name}`);
  const texts = files.map((file) => readFileSync(join(root, file), "utf8"));
  if (texts.some((text) => new RegExp(`\\b${name}\\b`).test(text))) return;
  throw new Error(`${test} does not mention ${name}`);
}

if (import.meta.main) {
  mkdirSync(dirname(tablePath), { recursive: true });
  writeFileSync(tablePath, await surfaceTable());
}
