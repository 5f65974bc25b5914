// Counts the bytes of a download: of each file and of all, how many a second, and how long the rest will take. The clock never goes
// backwards. Knows no requests.

/** Reported while files are fetched from the hub. */
export type DownloadProgress = {
  /** The file that bytes came of, by its path in the repository. */
  readonly file: string;
  /** Bytes of this file that are there, and that it has. */
  readonly fileLoaded: number;
  readonly fileTotal: number;
  /** Bytes of all files of this call that are there, what was cached before included, and that they have. */
  readonly loaded: number;
  readonly total: number;
  /** Bytes that came over the network in the last seconds, for each of them. */
  readonly bytesPerSecond: number;
  /** Undefined until a speed is known. */
  readonly secondsLeft: number | undefined;
  /** Bytes of this file that an earlier, interrupted download had left. */
  readonly resumed: number;
};

const REPORT_MS = 100;
/** The speed is that of about so many last milliseconds. */
const WINDOW_MS = 5000;

export class Meter {
  readonly #files: ReadonlyMap<string, number>;
  readonly #loaded = new Map<string, number>();
  readonly #resumed = new Map<string, number>();
  readonly #report: ((progress: DownloadProgress) => void) | undefined;
  readonly #now: () => number;
  readonly #marks: { time: number; received: number }[];
  readonly #total: number;
  #sum = 0;
  #received = 0;
  #reported = -Infinity;

  /**
   * @param files bytes that each file has
   * @param cached files that are there already
   * @param now a clock in milliseconds
   */
  constructor(
    files: ReadonlyMap<string, number>,
    cached: Iterable<string>,
    report?: (progress: DownloadProgress) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#files = files;
    this.#report = report;
    this.#now = now;
    this.#total = [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.#marks = [{ time: now(), received: 0 }];
    for (const file of cached) this.#set(file, files.get(file) ?? 0);
  }

  /** A download begins at `bytes`, which an earlier one left. */
  begin(file: string, bytes: number): void {
    this.#resumed.set(file, bytes);
    this.#set(file, bytes);
    this.#tell(file, true);
  }

  /** Bytes came over the network. */
  add(file: string, bytes: number): void {
    this.#received += bytes;
    this.#set(file, (this.#loaded.get(file) ?? 0) + bytes);
    this.#tell(file, false);
  }

  /** What is there of a file that another process downloads, or that has to be fetched anew. */
  set(file: string, bytes: number): void {
    this.#set(file, Math.min(bytes, this.#files.get(file) ?? bytes));
    this.#tell(file, false);
  }

  /** A file is there whole. */
  end(file: string): void {
    this.#set(file, this.#files.get(file) ?? 0);
    this.#tell(file, true);
  }

  #set(file: string, bytes: number): void {
    this.#sum += bytes - (this.#loaded.get(file) ?? 0);
    this.#loaded.set(file, bytes);
  }

  #tell(file: string, always: boolean): void {
    const now = this.#now();
    if (this.#report === undefined || (!always && now - this.#reported < REPORT_MS)) return;
    this.#reported = now;
    this.#marks.push({ time: now, received: this.#received });
    while (this.#marks.length > 2 && now - this.#marks[1].time > WINDOW_MS) this.#marks.shift();
    const [first] = this.#marks;
    const seconds = (now - first.time) / 1000;
    const speed = seconds > 0 ? (this.#received - first.received) / seconds : 0;
    this.#report({
      file,
      fileLoaded: this.#loaded.get(file) ?? 0,
      fileTotal: this.#files.get(file) ?? 0,
      loaded: this.#sum,
      total: this.#total,
      bytesPerSecond: speed,
      secondsLeft: speed > 0 ? (this.#total - this.#sum) / speed : undefined,
      resumed: this.#resumed.get(file) ?? 0,
    });
  }
}
