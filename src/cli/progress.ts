// Progress of loading on stderr: a bar in a terminal after half a second, elsewhere a line every five seconds.
// Knows nothing of what is loaded.

import { bytes, duration, styled, visible } from "./terminal.ts";
import type { OutStream } from "./terminal.ts";

const silentSeconds = 0.5;
const barEverySeconds = 0.1;
const lineEverySeconds = 5;
const clearLine = "\r\u001b[2K";

export type Progress = {
  /** Bytes so far, of how many, and the name of what is being read. */
  update(step: { readonly loaded: number; readonly total: number; readonly tensor?: string }): void;
  /** Takes the bar away; a line stays where progress was shown and it is no terminal. */
  done(): void;
};

/** `now` is in seconds. */
export function loadProgress(
  stream: OutStream,
  what: string,
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
      const facts = measures(step, time - start);
      stream.write(
        stream.isTTY
          ? clearLine + bar(stream, what, step, facts)
          : `${visible(what)}: ${percent(step)} · ${facts}\n`,
      );
    },
    done() {
      if (shownAt === undefined) return;
      const took = `${visible(what)}: ${bytes(last.loaded)} in ${duration(now() - start)}\n`;
      stream.write(stream.isTTY ? clearLine : took);
    },
  };
}

type Step = { readonly loaded: number; readonly total: number };

const share = ({ loaded, total }: Step): number => (total > 0 ? Math.min(1, loaded / total) : 0);
const percent = (step: Step): string => `${Math.floor(share(step) * 100)} %`;

function measures({ loaded, total }: Step, seconds: number): string {
  const speed = loaded / seconds;
  const left = speed > 0 ? ` · ${duration((total - loaded) / speed)} left` : "";
  return `${bytes(loaded)} of ${bytes(total)} · ${bytes(speed)}/s${left}`;
}

function bar(stream: OutStream, what: string, step: Step, facts: string): string {
  const columns = (stream.columns || 80) - 1;
  const tail = ` ${percent(step).padStart(5)}  ${facts}`;
  const room = columns - tail.length;
  const name = visible(what).slice(0, Math.max(0, room - 12));
  const width = Math.min(30, room - name.length - 1);
  if (width < 4) return tail.trim().slice(0, columns);
  const full = Math.round(share(step) * width);
  return `${name} ${styled(stream, "cyan", "█".repeat(full))}${styled(stream, "dim", "░".repeat(width - full))}${tail}`;
}
