// How the caller's thread reaches a step that runs in the engine worker, in two forms. With shared memory: a few words, which work
// while the worker computes and reads no messages. Without it (a page that is not cross-origin isolated): messages alone, which
// the worker reads between two steps.

import { canShareMemory, nextTurn } from "#platform";

/** The caller's end. */
export type CallerControl = {
  /** What the worker's end is made from; undefined: by messages alone. */
  readonly words: SharedArrayBuffer | undefined;
  /** To be called when a message was posted to the worker. */
  countPosted(): void;
  /**
   * Asks the running step to stop within one op, if that call alone has rows in it.
   * @returns whether it was asked; if not, the call's abort takes effect when the step ends
   */
  stopStepOf(call: number): boolean;
};

/** The engine worker's end. */
export type WorkerControl = {
  /** One word: not 0 asks the running step to stop. The reference backend looks at it between two ops. */
  readonly stop: Int32Array;
  /** To be called when a message from the caller has come. */
  countReceived(): void;
  /** See StepHooks of steps.ts. */
  beforeStep(owner: number): Promise<void>;
};

// The shared words: 4 bytes each.
const STOP = 0;
/** Messages posted so far: when the worker has received fewer, it lets its event loop turn. */
const POSTED = 1;
/** The id of the call that alone has rows in the running step, modulo 2³²; 0: several calls have, or none. */
const OWNER = 2;
const BYTES = 12;

export function callerControl(shared: boolean = canShareMemory()): CallerControl {
  if (!shared) return { words: undefined, countPosted: () => {}, stopStepOf: () => false };
  const buffer = new SharedArrayBuffer(BYTES);
  const words = new Int32Array(buffer);
  return {
    words: buffer,
    countPosted: () => void Atomics.add(words, POSTED, 1),
    stopStepOf(call) {
      const alone = Atomics.load(words, OWNER) === (call | 0);
      if (alone) Atomics.store(words, STOP, 1);
      return alone;
    },
  };
}

export function workerControl(shared: SharedArrayBuffer | undefined): WorkerControl {
  if (shared === undefined) {
    // How many messages wait is not known: each step lets the event loop turn.
    return { stop: new Int32Array(1), countReceived: () => {}, beforeStep: nextTurn };
  }
  const words = new Int32Array(shared);
  let received = 0;
  return {
    stop: words.subarray(STOP, STOP + 1),
    countReceived: () => void received++,
    async beforeStep(owner) {
      Atomics.store(words, OWNER, owner);
      Atomics.store(words, STOP, 0);
      while (received < Atomics.load(words, POSTED)) await nextTurn();
    },
  };
}
