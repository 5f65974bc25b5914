// A template is the model's code: attacks on time, memory, stack and the sandbox end in a TemplateError, soon.

import { array, assert, constantFrom, oneof, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError, TemplateError } from "../../src/errors.ts";
import { renderChatTemplate, type TemplateBudget } from "../../src/text/chat-template.ts";
import { PROGRAM_VARIABLES, programs } from "./template-programs.ts";

const grow = (step: string, start = "'ab'"): string =>
  `{% set ns = namespace(x=${start}) %}{% for i in range(100) %}{% set ns.x = ${step} %}{% endfor %}{{ ns.x }}`;

const ATTACKS: Record<string, string> = {
  "nested loops":
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}",
  "range(1e8)": "{{ range(100000000) | list }}",
  "a loop that calls itself": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
  "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
  "a macro that calls itself twice":
    "{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
  "doubling by +": grow("ns.x + ns.x"),
  "doubling by *": grow("ns.x * 2"),
  "doubling by ~": grow("ns.x ~ ns.x"),
  "doubling by replace": grow("ns.x | replace('a', 'aaaa')"),
  "doubling by join": grow("[ns.x, ns.x] | join"),
  "doubling by % formatting": grow("'%s%s' % (ns.x, ns.x)"),
  "doubling by format": grow("'{0}{0}'.format(ns.x)"),
  "doubling a list": grow("ns.x + ns.x", "[1]"),
  "shared lists, printed": grow("[ns.x, ns.x]"),
  "shared lists, as JSON": grow("[ns.x, ns.x]").replace("{{ ns.x }}", "{{ ns.x | tojson }}"),
  "shared tuples as a key": grow("(ns.x, ns.x)").replace("{{ ns.x }}", "{{ {ns.x: 1} }}"),
  "a repeated string": "{{ 'a' * 10 ** 12 }}",
  "a repeated list": "{{ [0] * 10 ** 9 }}",
  indent: "{{ 'a\nb' | indent(10 ** 12) }}",
  center: "{{ 'a' | center(10 ** 12) }}",
  ljust: "{{ 'a'.ljust(10 ** 10) }}",
  "a wide directive": "{{ '%1000000000d' % 1 }}",
  "a wide field": "{{ '{:1000000000}'.format(1) }}",
  "tojson indent": "{{ [1] | tojson(indent=10 ** 9) }}",
  batch: "{{ [1] | batch(10 ** 9, 'x') | list }}",
  "a power": "{{ 9 ** 99999999 }}",
  title: "{{ ('a ' * 4000000) | title }}",
  "5,000 parentheses": `{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}`,
  "5,000 blocks": "{% if 1 %}".repeat(5000),
  "50,000 additions": `{{ 1${"+1".repeat(50_000)} }}`,
  "50,000 filters": `{{ 'a'${"|upper".repeat(50_000)} }}`,
  "10 MB of text": "x".repeat(10_000_000),
  "a long key, many times":
    "{% set x = 'a' * 1000000 %}{% for i in range(99999) %}{% set y = {x: 1}[x] %}{% endfor %}",
  "long texts in a tuple that is a key":
    "{% set t = ('a' * 100000,) * 200 %}{% for i in range(99999) %}{% set y = {t: 1} %}{% endfor %}",
  "a long path of attributes":
    "{% set x = 'a,' * 1000000 %}{% for i in range(99) %}{% set y = [{}] | sort(attribute=x) %}{% endfor %}",
  "large ints, printed in base 16":
    "{% for i in range(99999) %}{% set y = '%x' % (2 ** 65000) %}{% endfor %}",
  "wordwrap to one column": "{{ ('a' * 8000000) | wordwrap(1) }}",
  urlize: "{{ (('x@' + 'a.' * 1900 + ' ') * 1000) | urlize }}",
  "pprint of nested lists":
    "{% set ns = namespace(x=['a']) %}{% for i in range(100) %}{% set ns.x = [ns.x, 'abcdef ' * 20] %}{% endfor %}{% for i in range(999) %}{{ ns.x | pprint }}{% endfor %}",
  "digits in base 16": "{{ ('f' * 8000000) | int(0, 16) }}",
  "a precision": "{{ '%.999999999f' % 1.5 }}",
  translate: "{{ ('a' * 4000000).translate({97: 'x' * 90}) }}",
  "a namespace in itself": "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
};

describe("attacks", () => {
  test.each(Object.entries(ATTACKS))("%s", (_name, template) => {
    const start = performance.now();
    expect(() => renderChatTemplate(template, {})).toThrow(TemplateError);
    expect(performance.now() - start).toBeLessThan(2000); // under a second alone; CI machines are shared
  });
});

test("numbers that a template may give end no loop late", () => {
  expect(
    renderChatTemplate("{{ 1e999 | filesizeformat }} {{ 'nan' | filesizeformat }}", {}).text,
  ).toBe("inf YB nan YB");
});

test("random programs with extreme arguments end within the budget", () => {
  const made = programs(20, true);
  const late: string[] = [];
  for (let i = 0; i < 2000; i++) {
    const template = made.next();
    const start = performance.now();
    expect(kindOfOutcome(template, PROGRAM_VARIABLES, { milliseconds: 100 }), template).toMatch(
      /^(text|TemplateError)$/,
    );
    if (performance.now() - start > 1500) late.push(template); // far above 100: CI machines are shared
  }
  expect(late).toEqual([]);
});

describe("the sandbox", () => {
  test.each([
    "''.constructor",
    "''.__proto__",
    "''.__class__",
    "[].constructor",
    "{}.constructor",
    "{}.__proto__",
    "{}.hasOwnProperty",
    "range.constructor",
    "''.length",
    "globalThis",
    "process",
  ])("%s is undefined", (expression) => {
    expect(renderChatTemplate(`{{ ${expression} is undefined }}`, {}).text).toBe("True");
    expect(() => renderChatTemplate(`{{ ${expression}.x.y }}`, {})).toThrow(TemplateError);
  });

  test("only own data properties of plain objects and Maps are visible", () => {
    const tricky = {
      get secret(): string {
        throw new Error("a getter ran");
      },
      plain: 1,
    };
    const variables = {
      tricky,
      map: new Map([["a", 1]]),
      date: new Date(0),
      run: () => 1,
      made: Object.create({ inherited: 1 }),
    };
    const template =
      "{{ tricky }} {{ map.a }} {{ date }} {{ run }} {{ made.inherited is undefined }}";
    expect(renderChatTemplate(template, variables).text).toBe(
      "{'plain': 1} 1 <Date> <function> True",
    );
  });

  test("a key named __proto__ is data", () => {
    const variables = JSON.parse('{"d": {"__proto__": {"x": 1}}}') as Record<string, unknown>;
    expect(renderChatTemplate("{{ d['__proto__'].x }}{{ d.x is undefined }}", variables).text).toBe(
      "1True",
    );
  });

  test("lists and dicts cannot be changed", () => {
    const l = [1];
    expect(() => renderChatTemplate("{{ l.append(2) }}", { l })).toThrow(
      "access to attribute 'append' of 'list' object is unsafe.",
    );
    expect(l).toEqual([1]);
  });
});

test("limits are named, can be raised, and unknown ones are refused", () => {
  const loop = "{% for i in range(1000) %}x{% endfor %}";
  expect(() => renderChatTemplate(loop, {}, { steps: 500 })).toThrow("500 steps");
  expect(() => renderChatTemplate(loop, {}, { outputChars: 500 })).toThrow("500 outputChars");
  expect(renderChatTemplate(loop, {}, { steps: 1e9 }).text).toHaveLength(1000);
  expect(() => renderChatTemplate("", {}, { step: 1 } as object)).toThrow(InputError);
  expect(() => renderChatTemplate("", {}, { steps: -1 })).toThrow(InputError);
});

test("syntax errors name line and column", () => {
  expect(() => renderChatTemplate("a\n{{ x y }}", {})).toThrow("(chat template, line 2, column 6)");
});

function kindOfOutcome(
  template: string,
  variables: Record<string, unknown> = { x: [1, "a"], y: { y: 1 } },
  budget: Partial<TemplateBudget> = { steps: 20_000 },
): string {
  try {
    renderChatTemplate(template, variables, budget);
    return "text";
  } catch (error) {
    return error instanceof TemplateError ? "TemplateError" : String(error);
  }
}

test("garbage gives text or a TemplateError", () => {
  const pieces = constantFrom(
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "-",
    "+",
    " ",
    "\n",
    "if ",
    "for ",
    "in ",
    "x",
    "y",
    "endif",
    "endfor",
    "else",
    "set ",
    "=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|",
    "upper",
    "join",
    "is ",
    "not ",
    "defined",
    "'a'",
    '"',
    "1",
    "2.5",
    ".",
    ",",
    ":",
    "~",
    "**",
    "//",
    "%",
    "loop",
    "macro f(a)",
    "endmacro",
    "f(1)",
    "raw",
    "endraw",
    "recursive",
    "namespace()",
    "x.y",
    "caller()",
    "\\",
    "😀",
    "é",
  );
  const source = array(pieces, { maxLength: 40 }).map((parts) => parts.join(""));
  const wrapped = oneof(
    source,
    source.map((text) => `{{ ${text} }}`),
    source.map((text) => `{% ${text} %}`),
  );
  assert(
    property(oneof(wrapped, string()), (template) => {
      expect(kindOfOutcome(template)).toMatch(/^(text|TemplateError)$/);
    }),
    { numRuns: 3000 },
  );
});
