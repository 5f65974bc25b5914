// Random template programs: every filter, test, method, operator and global of Jinja2 with arguments of every type. Seeded.
// Tests compare what they give with Jinja2, and try with `extreme` numbers that no rendering outlasts its budget.

import { seeded } from "../random.ts";

export const PROGRAM_VARIABLES: Record<string, unknown> = {
  s: "Hello World",
  h: "<a href='#'>x & \"y\"</a> www.a.com\n",
  uni: "Straße İi ﬁ ٣² 한😀",
  l: [3, 1, 2],
  d: { b: 1, A: "x", n: null },
  m: [
    { role: "user", content: " Hi <b> ", n: 2, k: { v: ["a"] } },
    { role: "assistant", content: "Yo", tool_calls: null, n: 1 },
    { role: "User", content: "Bye-bye now", n: 3, k: {} },
  ],
};

const NUMBERS = [
  "0",
  "1",
  "2",
  "-1",
  "3",
  "7",
  "10",
  "-3",
  "true",
  "false",
  "1.5",
  "2.0",
  "-0.5",
  "0.0",
  "1e3",
  "12345.678",
  "('inf'|float(undef))", // `undef`: Jinja2 computes constants while compiling, and then fails at its own text "inf"
  "('-inf'|float(undef))",
  "('nan'|float(undef))",
  "2.5",
  "1e-7",
  "123456789012345678901",
];
const EXTREMES = [
  "10**9",
  "10**12",
  "-10**9",
  "10**18",
  "99999",
  "2**60000",
  "1e308",
  "5e-324",
  "'9'*4000",
  "('ab ' * 100000)",
  "('<' * 300000)",
  "([0] * 100000)",
  "range(100000)",
  "range(-10**15, 10**15, 10**11)",
  "('a-' * 100000)",
  "('\\n' * 100000)",
  "('\\t' * 100000)",
  "('😀' * 50000)",
  "('İ' * 50000)",
  "('%s' * 50000)",
  "('{}' * 50000)",
  "('{0:999999}' * 9)",
  "('&lt;' * 50000)",
  "('1_' * 50000)",
];
const TEXTS = [
  "s",
  "h",
  "uni",
  "''",
  "'a'",
  "'abc'",
  "' x y '",
  "'a,b,,c'",
  "'a\\nb\\r\\n\\nc'",
  "'A-b c'",
  "'42'",
  "' 4_2 '",
  "'٣'",
  "'0x1f'",
  "'-1.5e3'",
  "'inf'",
  "'nan'",
  "'%s %s'",
  "'%d%%'",
  "'%(a)s'",
  "'%5.2f|%-4s|%r'",
  "'{} {}'",
  "'{0!r:>8}|{a}'",
  "'{:,}'",
  "'\\t.'",
  "'&lt;i&gt; &amp; <!-- c --> &#39;'",
  "'b'",
  "'role'",
  "'k.v'",
  "'content'",
  "'é'",
  "'o'",
  "' '",
  "'-'",
  "'upper'",
];
const OTHERS = [
  "none",
  "undef",
  "d.undef",
  "l",
  "d",
  "m",
  "m[0]",
  "[]",
  "{}",
  "()",
  "(1, 'a')",
  "('b', 2.0)",
  "[1, [2, 'x']]",
  "['b', 'A', 'c', 'a']",
  "[['k', 1], ['j', 2]]",
  "{'a': 1, 2: [3]}",
  "{'x': {'y': (1,)}}",
  "range(4)",
  "range(5, 0, -2)",
  "[1.5, 2, true]",
  "[none, undef]",
  "d.items()",
  "d.keys()",
  "d.values()",
  "namespace(a=1)",
  "dict(a=1, b='<')",
  "(l|map('string')|list)",
  "[s|safe, '<', h|e]",
  "(m|groupby('role'))",
];
const FILTERS = (
  "abs attr batch capitalize center count d default dictsort e escape filesizeformat first float forceescape format groupby indent " +
  "int items join last length list lower map max min pprint reject rejectattr replace reverse round safe select " +
  "selectattr slice sort string striptags sum title tojson trim truncate unique upper urlencode urlize wordcount wordwrap xmlattr"
).split(" ");
const TESTS = (
  "odd even divisibleby defined undefined filter test none boolean false true integer float lower upper string mapping number sequence " +
  "iterable callable escaped in eq ne gt ge lt le equalto greaterthan lessthan"
).split(" ");
const METHODS: Readonly<Record<string, string>> = {
  text:
    "capitalize casefold center count endswith expandtabs find format format_map index isalnum isalpha isascii isdecimal isdigit " +
    "isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix " +
    "removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title translate upper " +
    "zfill striptags unescape escape",
  list: "count index copy append pop",
  tuple: "count index",
  dict: "get keys values items copy update pop fromkeys",
  range: "count index start stop step",
  int: "bit_length bit_count conjugate real imag numerator denominator as_integer_ratio is_integer",
  float: "is_integer real imag conjugate hex as_integer_ratio",
};
const OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", "in", "not in"];
const KEYWORDS =
  "default boolean attribute case_sensitive reverse by width first blank length killwords end leeway sep maxsplit keepends tabsize d a base fill_with precision method start autospace indent sort_keys ensure_ascii separators binary old new count chars wrapstring break_long_words break_on_hyphens trim_url_limit nofollow rel".split(
    " ",
  );

export type Programs = { next(): string };

/** Programs from `seed` on. `extreme`: half of the arguments are numbers and texts that are far too large. */
export function programs(seed: number, extreme = false): Programs {
  const random = seeded(seed * 2654435761 + 1);
  for (let i = 0; i < 16; i++) random.below(2); // the first numbers of near seeds are alike
  const pick = <T>(of: readonly T[]): T => of[random.below(of.length)];
  const chance = (probability: number): boolean => random.uniform() < probability;

  const text = (): string => {
    const plain = pick(TEXTS);
    return chance(0.25) ? `(${plain}|${pick(["safe", "e"])})` : plain;
  };
  const atom = (): string => {
    if (extreme && chance(0.5)) return pick(EXTREMES);
    const kind = random.below(10);
    return kind < 3 ? pick(NUMBERS) : kind < 7 ? text() : pick(OTHERS);
  };
  const value = (depth: number): string => {
    if (depth === 0 || chance(0.3)) return atom();
    const kind = random.below(12);
    if (kind < 6) return filtered(depth);
    if (kind < 9) return called(depth);
    if (kind < 11)
      return `(${value(depth - 1)} ${pick(OPERATORS)} ${extreme && chance(0.1) ? "10**9" : value(depth - 1)})`;
    const bound = (): string => (chance(0.4) ? "" : chance(0.8) ? pick(NUMBERS) : atom());
    // not a constant: in those, Jinja2 makes undefined values of wrong bounds
    return chance(0.5)
      ? `[undef, ${value(depth - 1)}][1][${bound()}:${bound()}${chance(0.4) ? `:${bound()}` : ""}]`
      : `${value(depth - 1)}[${atom()}]`;
  };
  const args = (depth: number): string => {
    const list = Array.from({ length: pick([0, 0, 1, 1, 1, 2, 2, 3]) }, () => value(depth));
    if (chance(0.25)) list.push(`${pick(KEYWORDS)}=${value(depth)}`);
    return list.join(", ");
  };
  const filtered = (depth: number): string => {
    const filter = pick(FILTERS);
    const of = value(depth - 1);
    if (["map", "select", "reject"].includes(filter) && chance(0.8)) {
      const [name, more] =
        filter === "map" ? [pick(FILTERS), value(0)] : [pick(TESTS), value(depth - 1)];
      return `(${of}|${filter}('${name}'${chance(0.5) ? `, ${more}` : ""})|list)`;
    }
    if (filter.endsWith("attr") && chance(0.7))
      return `(m|${filter}('${pick(["n", "k", "role", "k.v", "x"])}'${chance(0.6) ? `, '${pick(TESTS)}', ${value(0)}` : ""})|list)`;
    const given = args(depth - 1);
    return `(${of}|${filter}${given === "" ? "" : `(${given})`})`;
  };
  const called = (depth: number): string => {
    const kind = pick(["text", "text", "text", ...Object.keys(METHODS)]);
    const of: Readonly<Record<string, () => string>> = {
      text,
      list: () => pick(["l", "[1, 'a', 1.0]", "m"]),
      tuple: () => pick(["(1, 2, 1)", "('a',)", "()"]),
      dict: () => pick(["d", "{1: 2}", "m[0]", "dict"]),
      range: () => pick(["range(5)", "range(1, 10, 3)", "range(4, 0, -1)"]),
      int: () => pick(["(5)", "(-7)", "(0)", "true", "(2**70)"]),
      float: () => pick(["(1.5)", "(2.0)", "(-0.25)", "(1e999)"]),
    };
    const method = pick(METHODS[kind].split(" "));
    if (extreme && kind === "text" && chance(0.4))
      return `${pick(EXTREMES)}.${method}(${args(depth - 1)})`;
    const shown = chance(0.05) ? "" : `(${args(depth - 1)})`;
    return `${of[kind]()}.${method}${["start", "stop", "step", "real", "imag"].includes(method) ? "" : shown}`;
  };
  const tested = (): string => {
    const test = pick(TESTS);
    return `${value(1)} is ${test}${chance(0.5) ? `(${args(0)})` : ""}`;
  };
  const statement = (): string => {
    const kind = random.below(10);
    if (kind === 0)
      return `{% for x in ${value(1)} %}{{ loop.index }}{{ x }}{{ loop.cycle(${args(0)}) }}{{ loop.changed(x) }}{% endfor %}`;
    if (kind === 1)
      return `{% set c = cycler(${args(0)}) %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}`;
    if (kind === 2) return `{% set j = joiner(${args(0)}) %}{{ j() }}{{ j() }}{{ j() }}`;
    if (kind === 3)
      return `{% set x %}${value(1)}<{% endset %}{{ x|${pick(FILTERS)} }}{% filter ${pick(["upper", "e", "safe", "trim", "indent"])} %}<b>{% endfilter %}`;
    if (kind === 4) return `{{ ${tested()} }}`;
    return `{{ ${value(2)} }}`;
  };
  return { next: statement };
}
