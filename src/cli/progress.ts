// Shows the progress of long work on stderr: on a terminal a bar after half a second, elsewhere a line every five seconds.
// Does not know the work.

import { bytes, duration, fitted, portion, styled, visible, wholeSeconds } from "./terminal.ts";
import type { OutStream } from "./terminal.ts";

const silentSeconds = 0.5;
const barEverySeconds = 0.1;
const lineEverySeconds = 5;
const clearLine = "\r\u001b[2K";

export type Progress = {
  /** Reports how much is done, of how much. @param name what it is being done to now, in place of the first name */
  update(step: Step, name?: string): void;
  /** Prints a line that stays. */
  note(line: string): void;
  /** Ends the display: removes the bar; if lines were shown, prints a last one. Again: nothing. @param step the last one */
  done(step?: Step): void;
};

type Step = {
  readonly loaded: number;
  readonly total: number;
  /** Default: the mean since the begin. */
  readonly perSecond?: number;
};

/** How to show an amount of work, and an amount for each second. */
type Amounts = { show(count: number): string; rate(perSecond: number): string };

const inBytes: Amounts = { show: bytes, rate: (perSecond) => `${bytes(perSecond)}/s` };

function countedIn(unit: string): Amounts {
  return {
    show: (count) => `${Math.round(count)} ${unit}s`,
    rate: (perSecond) => `${perSecond.toPrecision(3)} ${unit}s/s`,
  };
}

/**
 * The progress of work.
 * @param verb such as "loading". @param name what it is done to; a narrow terminal shortens it, and never the verb
 * @param unit the singular of what is counted, or "byte". @param now a clock, in seconds
 */
export function workProgress(
  stream: OutStream,
  verb: string,
  name: string,
  unit: string,
  now?: () => number,
): Progress {
  const amounts = unit === "byte" ? inBytes : countedIn(unit);
  return shownProgress(stream, { verb, name, amounts }, now);
}

/** How often a display is drawn anew while nothing is reported, in milliseconds. */
const tick = 100;

/** For generate's `onProgress`: shows how much of a long prompt is read, until all of it is. @param total tokens of the prompt */
export function promptProgress(
  stream: OutStream,
  total: number,
): {
  readonly onProgress: (step: { readonly done: number; readonly total: number }) => void;
  done(): void;
} {
  const progress = workProgress(stream, "prompt", "", "token");
  let step = { loaded: 0, total };
  const timer = setInterval(() => progress.update(step), tick);
  const done = (): void => {
    clearInterval(timer);
    progress.done(step);
  };
  return {
    onProgress(told) {
      step = { loaded: told.done, total: told.total };
      if (told.done >= told.total) done();
    },
    done,
  };
}

/** For a number of repetitions: between two reports the bar moves as the last repetition of the same kind took. */
export function repetitionProgress(stream: OutStream): {
  /** `what` begins; `done` of `total` are over. */
  begin(what: string, done: number, total: number): void;
  done(): void;
} {
  const progress = workProgress(stream, "bench", "", "run");
  let now = { what: "", done: 0, total: 1, start: performance.now() };
  let usual: number | undefined;
  const timer = setInterval(() => {
    const passed = usual === undefined ? 0 : (performance.now() - now.start) / usual;
    progress.update({ loaded: now.done + Math.min(0.95, passed), total: now.total }, now.what);
  }, tick);
  return {
    begin(what, done, total) {
      const time = performance.now();
      usual = what === now.what ? time - now.start : undefined;
      now = { what, done, total, start: time };
    },
    done() {
      clearInterval(timer);
      progress.done({ loaded: now.total, total: now.total });
    },
  };
}

type Shown = { readonly verb: string; readonly name: string; readonly amounts: Amounts };

const joined = (verb: string, name: string): string => (name === "" ? verb : `${verb} ${name}`);

function shownProgress(
  stream: OutStream,
  { verb, name, amounts }: Shown,
  now: () => number = () => performance.now() / 1000,
): Progress {
  const start = now();
  const [first, every] = stream.isTTY
    ? [silentSeconds, barEverySeconds]
    : [lineEverySeconds, lineEverySeconds];
  let shownAt: number | undefined;
  let last: Step = { loaded: 0, total: 0 };
  return {
    update(step, current = name) {
      last = step;
      const time = now();
      const due = shownAt === undefined ? start + first : shownAt + every;
      if (time < due) return;
      shownAt = time;
      const facts = measures(step, time - start, amounts);
      stream.write(
        stream.isTTY
          ? clearLine + bar(stream, verb, visible(current), step, facts)
          : `${joined(verb, visible(current))}: ${percent(step)} · ${facts}\n`,
      );
    },
    note(line) {
      stream.write(`${stream.isTTY ? clearLine : ""}${fitted(stream, line)}\n`);
    },
    done({ loaded } = last) {
      if (shownAt === undefined) return;
      shownAt = undefined;
      const took = `${joined(verb, name)}: ${amounts.show(loaded)} in ${duration(now() - start)}\n`;
      stream.write(stream.isTTY ? clearLine : took);
    },
  };
}

const share = ({ loaded, total }: Step): number => (total > 0 ? Math.min(1, loaded / total) : 0);
const percent = (step: Step): string => `${Math.floor(share(step) * 100)} %`;

function measures({ loaded, total, perSecond }: Step, seconds: number, amounts: Amounts): string {
  const done = portion(loaded, total, amounts.show);
  if (loaded === 0) return `${done} · ${wholeSeconds(seconds)}`;
  const speed = perSecond ?? loaded / seconds;
  const left =
    speed > 0 && loaded < total ? ` · ${wholeSeconds((total - loaded) / speed)} left` : "";
  return `${done} · ${amounts.rate(speed)}${left}`;
}

const leastBar = 10;
/** The bar becomes as short as this before a verb is cut. */
const shortestBar = 4;
/** A terminal shows Ctrl-C as ^C behind the bar: with room for it the line does not wrap, and is cleared as a whole. */
const ctrlC = 2;
const greatestBar = 30;

function bar(stream: OutStream, verb: string, name: string, step: Step, facts: string): string {
  const columns = Math.max(1, (stream.columns || 80) - 1 - ctrlC);
  const tail = ` ${percent(step).padStart(5)}  ${facts}`;
  const space = columns - tail.length - 1;
  const room = Math.max(space - leastBar, Math.min(verb.length, space - shortestBar));
  if (room < 1) return tail.trim().slice(0, columns);
  const label = shortened(verb, name, room);
  const width = Math.min(greatestBar, space - label.length);
  const full = Math.round(share(step) * width);
  const drawn =
    styled(stream, "cyan", "█".repeat(full)) + styled(stream, "dim", "░".repeat(width - full));
  return `${label} ${drawn}${tail}`;
}

/** Verb and name in `room` columns: the end of the name goes first, then all of it. */
function shortened(verb: string, name: string, room: number): string {
  const whole = joined(verb, name);
  if (whole.length <= room) return whole;
  const ofName = room - verb.length - 2;
  if (ofName >= 3) return `${verb} ${name.slice(0, ofName)}…`;
  return verb.length <= room ? verb : `${verb.slice(0, room - 1)}…`;
}
