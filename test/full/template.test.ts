// Random template programs against Jinja2 itself, set up by Transformers: bench/.venv holds both (bash bench/setup.sh).

import { expect, test } from "vitest";
import { TemplateError } from "../../src/errors.ts";
import { renderChatTemplate } from "../../src/text/chat-template.ts";
import { PROGRAM_VARIABLES, programs } from "../text/template-programs.ts";
import { type Outcome, renderedByJinja } from "./jinja.ts";

const COUNT = 10_000;

test.each([1, 2, 3, 4, 5])(`${COUNT} random programs, seed %i`, { timeout: 300_000 }, (seed) => {
  const made = programs(seed);
  const templates = Array.from({ length: COUNT }, () => made.next());
  const theirs = renderedByJinja(
    templates.map((template) => ({ template, variables: PROGRAM_VARIABLES })),
  );
  const compared = templates
    .map((template, i) => ({ template, theirs: theirs[i] }))
    .filter(({ theirs: outcome }) => isComparable(outcome));
  expect(compared.length).toBeGreaterThan(0.9 * COUNT);
  const different = compared
    .map((one) => ({ ...one, ours: rendered(one.template) }))
    .filter(({ theirs: one, ours }) => one.text !== ours.text && !isSetDifference(ours));
  expect(different).toEqual([]);
});

/**
 * Not: what shows an address of memory; what took too long; constants that Jinja2 computes while compiling and then cannot write
 * into its program ("name 'inf' is not defined").
 */
const isComparable = ({ text, error }: Outcome): boolean =>
  text === undefined
    ? !["TimeoutError", "MemoryError", "NameError"].includes(error ?? "")
    : !/0x[\da-f]{8}|generator|sync_do_/i.test(text) && !text.includes("select_or_reject");

/** `d.keys() - x` gives a set in Python; templates here have no sets. */
const isSetDifference = ({ error }: Outcome): boolean =>
  /unsupported operand type\(s\) for -: .*'dict_(?:keys|items)'/.test(error ?? "");

function rendered(template: string): Outcome {
  try {
    return { text: renderChatTemplate(template, PROGRAM_VARIABLES, { milliseconds: 5000 }).text };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { error: error.message };
  }
}
