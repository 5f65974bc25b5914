// Regular expressions from settings files, which are not trusted: matching takes bounded time whatever the expression is, because
// each part computes the set of places where it may end, once for each place where it begins. Supports the Python syntax that
// targets use: literals, . \d \w \s, classes, groups, alternatives, repetitions, ^, $ and lookahead. Refuses everything else.
// Does not know layers.

/** A part of an expression: the places where a match that begins at `at` may end. */
type Part = (text: string, at: number) => ReadonlySet<number>;

/** The longest expression, and the longest text that it is tried on, in characters. */
const MAX_SOURCE = 500;
const MAX_TEXT = 200;
/** The largest number in braces, as in \d{1,100}. */
const MAX_COUNT = 100;

/** A function that says whether the expression matches at the beginning of a text, as Python's re.match; undefined: not supported. */
export function targetPattern(source: string): ((text: string) => boolean) | undefined {
  if (source.length > MAX_SOURCE) return undefined;
  const reader = { source, at: 0 };
  const whole = readAlternatives(reader);
  if (whole === undefined || reader.at < source.length) return undefined;
  return (text) => text.length <= MAX_TEXT && whole(text, 0).size > 0;
}

type Reader = { readonly source: string; at: number };

function take(reader: Reader, token: string): boolean {
  if (!reader.source.startsWith(token, reader.at)) return false;
  reader.at += token.length;
  return true;
}

function readAlternatives(reader: Reader): Part | undefined {
  const options: Part[] = [];
  do {
    const option = readSequence(reader);
    if (option === undefined) return undefined;
    options.push(option);
  } while (take(reader, "|"));
  return once((text, at) => new Set(options.flatMap((option) => [...option(text, at)])));
}

function readSequence(reader: Reader): Part | undefined {
  const parts: Part[] = [];
  while (reader.at < reader.source.length && !"|)".includes(reader.source[reader.at])) {
    const atom = readAtom(reader);
    const part = atom && readRepetition(reader, atom);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return once((text, at) =>
    parts.reduce<ReadonlySet<number>>((places, part) => after(part, text, places), new Set([at])),
  );
}

function readRepetition(reader: Reader, atom: Part): Part | undefined {
  const [token, sign, low, comma, high] =
    /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(reader.source.slice(reader.at)) ?? [];
  if (token === undefined) return atom;
  reader.at += token.length;
  // A second repetition sign means a possessive repetition, which is not supported, or is an error in Python too.
  if (/^[*+?{]/.test(reader.source.slice(reader.at))) return undefined;
  const least = sign === undefined ? Number(low) : sign === "+" ? 1 : 0;
  const most =
    sign === undefined
      ? high
        ? Number(high)
        : comma
          ? Infinity
          : least
      : sign === "?"
        ? 1
        : Infinity;
  if (least > MAX_COUNT || (most > MAX_COUNT && most < Infinity) || least > most) return undefined;
  return once((text, at) => {
    let fresh: ReadonlySet<number> = new Set([at]);
    for (let i = 0; i < least; i++) fresh = after(atom, text, fresh);
    const all = new Set(fresh);
    for (let i = least; i < most && fresh.size > 0; i++) {
      fresh = new Set([...after(atom, text, fresh)].filter((place) => !all.has(place)));
      for (const place of fresh) all.add(place);
    }
    return all;
  });
}

function readAtom(reader: Reader): Part | undefined {
  if (take(reader, "(?=")) return readAhead(reader, true);
  if (take(reader, "(?!")) return readAhead(reader, false);
  if (take(reader, "(?:")) return readGroup(reader);
  if (take(reader, "(?")) return undefined;
  if (take(reader, "(")) return readGroup(reader);
  if (take(reader, "^")) return (_, at) => new Set(at === 0 ? [at] : []);
  if (take(reader, "$")) return (text, at) => new Set(at === text.length ? [at] : []);
  const [token] =
    /^(?:\[\^?(?:\\[^]|[^\\\]])+\]|\\[dwsDWS]|\\[^a-zA-Z0-9]|[^\\[\](){}*+?|])/.exec(
      reader.source.slice(reader.at),
    ) ?? [];
  if (token === undefined) return undefined;
  reader.at += token.length;
  const one = characters(token);
  return one && ((text, at) => new Set(at < text.length && one.test(text[at]) ? [at + 1] : []));
}

/** A test of one character; undefined: the class is malformed. */
function characters(token: string): RegExp | undefined {
  try {
    return new RegExp(`^${token}$`);
  } catch {
    return undefined;
  }
}

function readGroup(reader: Reader): Part | undefined {
  const inside = readAlternatives(reader);
  return take(reader, ")") ? inside : undefined;
}

function readAhead(reader: Reader, wanted: boolean): Part | undefined {
  const inside = readGroup(reader);
  return inside && ((text, at) => new Set(inside(text, at).size > 0 === wanted ? [at] : []));
}

function after(part: Part, text: string, places: ReadonlySet<number>): ReadonlySet<number> {
  return new Set([...places].flatMap((place) => [...part(text, place)]));
}

/** Remembers the results of a part for the last text, by place. */
function once(part: Part): Part {
  let known = new Map<number, ReadonlySet<number>>();
  let last: string | undefined;
  return (text, at) => {
    if (text !== last) {
      known = new Map();
      last = text;
    }
    const before = known.get(at);
    if (before !== undefined) return before;
    const places = part(text, at);
    known.set(at, places);
    return places;
  };
}
