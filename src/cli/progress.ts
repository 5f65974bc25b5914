// Shows the progress of long work on stderr: on a terminal a bar after half a second, elsewhere a line every five seconds.
// Does not know the work.

import { bytes, duration, fitted, styled, visible } from "./terminal.ts";
import type { OutStream } from "./terminal.ts";

const silentSeconds = 0.5;
const barEverySeconds = 0.1;
const lineEverySeconds = 5;
const clearLine = "\r\u001b[2K";

export type Progress = {
  /** Reports how much is done, of how much. @param what what is being done now, in place of the name */
  update(step: Step, what?: string): void;
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

/** The progress of loading a model, in bytes. @param now a clock, in seconds */
export function loadProgress(stream: OutStream, name: string, now?: () => number): Progress {
  return shownProgress(stream, { label: name, verb: `loading ${name}`, amounts: inBytes }, now);
}

/** The progress of other work. @param what its name. @param unit the singular of what is counted, or "byte" */
export function workProgress(
  stream: OutStream,
  what: string,
  unit: string,
  now?: () => number,
): Progress {
  const amounts = unit === "byte" ? inBytes : countedIn(unit);
  return shownProgress(stream, { label: what, verb: what, amounts }, now);
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
  const progress = workProgress(stream, "prompt", "token");
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
  const progress = workProgress(stream, "bench", "run");
  let now = { what: "bench", done: 0, total: 1, start: performance.now() };
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

type Shown = { readonly label: string; readonly verb: string; readonly amounts: Amounts };

function shownProgress(
  stream: OutStream,
  { label, verb, amounts }: Shown,
  now: () => number = () => performance.now() / 1000,
): Progress {
  const start = now();
  const [first, every] = stream.isTTY
    ? [silentSeconds, barEverySeconds]
    : [lineEverySeconds, lineEverySeconds];
  let shownAt: number | undefined;
  let last: Step = { loaded: 0, total: 0 };
  return {
    update(step, what = label) {
      last = step;
      const time = now();
      const due = shownAt === undefined ? start + first : shownAt + every;
      if (time < due) return;
      shownAt = time;
      const facts = measures(step, time - start, amounts);
      stream.write(
        stream.isTTY
          ? clearLine + bar(stream, visible(what), step, facts)
          : `${what === label ? verb : what}: ${percent(step)} · ${facts}\n`,
      );
    },
    note(line) {
      stream.write(`${stream.isTTY ? clearLine : ""}${fitted(stream, line)}\n`);
    },
    done({ loaded } = last) {
      if (shownAt === undefined) return;
      shownAt = undefined;
      const took = `${verb}: ${amounts.show(loaded)} in ${duration(now() - start)}\n`;
      stream.write(stream.isTTY ? clearLine : took);
    },
  };
}

const share = ({ loaded, total }: Step): number => (total > 0 ? Math.min(1, loaded / total) : 0);
const percent = (step: Step): string => `${Math.floor(share(step) * 100)} %`;

function measures({ loaded, total, perSecond }: Step, seconds: number, amounts: Amounts): string {
  const [amount, unit] = amounts.show(total).split(" ");
  // In the unit of the total: "1.5 of 14.5 GB".
  const part = (loaded / total) * Number(amount) || 0;
  const done = amount.includes(".") ? part.toFixed(1) : String(Math.floor(part));
  if (loaded === 0) return `${done} of ${amount} ${unit} · ${duration(seconds)}`;
  const speed = perSecond ?? loaded / seconds;
  const left = speed > 0 ? ` · ${duration(Math.ceil((total - loaded) / speed))} left` : "";
  return `${done} of ${amount} ${unit} · ${amounts.rate(speed)}${left}`;
}

const leastBar = 10;
const greatestBar = 30;

function bar(stream: OutStream, name: string, step: Step, facts: string): string {
  const columns = (stream.columns || 80) - 1;
  const tail = ` ${percent(step).padStart(5)}  ${facts}`;
  const room = columns - tail.length - leastBar - 1;
  if (room < 1) return tail.trim().slice(0, columns);
  const label = name.length > room ? `${name.slice(0, room - 1)}…` : name;
  const width = Math.min(greatestBar, leastBar + room - label.length);
  const full = Math.round(share(step) * width);
  const drawn =
    styled(stream, "cyan", "█".repeat(full)) + styled(stream, "dim", "░".repeat(width - full));
  return `${label} ${drawn}${tail}`;
}
