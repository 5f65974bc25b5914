// How the caller's thread stops a step that runs in the engine worker. With shared memory it writes a word that the worker sees while it
// computes. Without shared memory (a page that is not cross-origin isolated) it can only send messages, which the worker reads
// between two steps.

import { canShareMemory, nextTurn } from "#platform";

/** The caller's end. */
export type CallerControl = {
  /** What the worker's end is made from; undefined where memory cannot be shared. */
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

// The shared memory, in words of 4 bytes:
// word  content
//    0  not 0: the running step is asked to stop
//    1  how many messages were posted to the worker; while it has received fewer, it lets its event loop turn
//    2  the id, modulo 2³², of the call that alone has rows in the running step; 0: several calls have, or no step runs
const [STOP, POSTED, OWNER] = [0, 1, 2];
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
    // Nobody counts messages here: the event loop turns once before each step, so that those that wait are read.
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
