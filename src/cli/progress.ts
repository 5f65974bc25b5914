// Shows the progress of long work on stderr: on a terminal a bar after half a second, elsewhere a line every five seconds.
// Does not know the work.

import { bytes, duration, styled, visible } from "./terminal.ts";
import type { OutStream } from "./terminal.ts";

const silentSeconds = 0.5;
const barEverySeconds = 0.1;
const lineEverySeconds = 5;
const clearLine = "\r\u001b[2K";

export type Progress = {
  /** Reports how much is done, of how much, and the name of what is being read. */
  update(step: { readonly loaded: number; readonly total: number; readonly tensor?: string }): void;
  /** Ends the display: removes the bar; if lines were shown, prints a last one. */
  done(): void;
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
  let last = { loaded: 0, total: 0 };
  return {
    update(step) {
      last = step;
      const time = now();
      const due = shownAt === undefined ? start + first : shownAt + every;
      if (time < due) return;
      shownAt = time;
      const facts = measures(step, time - start, amounts);
      stream.write(
        stream.isTTY
          ? clearLine + bar(stream, visible(label), step, facts)
          : `${verb}: ${percent(step)} · ${facts}\n`,
      );
    },
    done() {
      if (shownAt === undefined) return;
      const took = `${verb}: ${amounts.show(last.loaded)} in ${duration(now() - start)}\n`;
      stream.write(stream.isTTY ? clearLine : took);
    },
  };
}

type Step = { readonly loaded: number; readonly total: number };

const share = ({ loaded, total }: Step): number => (total > 0 ? Math.min(1, loaded / total) : 0);
const percent = (step: Step): string => `${Math.floor(share(step) * 100)} %`;

function measures({ loaded, total }: Step, seconds: number, amounts: Amounts): string {
  const [amount, unit] = amounts.show(total).split(" ");
  // In the unit of the total: "1.5 of 14.5 GB".
  const done = ((loaded / total) * Number(amount) || 0).toFixed(amount.includes(".") ? 1 : 0);
  const speed = loaded / seconds;
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
