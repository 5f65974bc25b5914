// Workers on Node: starting one and talking to it, and the other end. A browser build offers the same functions.

import { parentPort, Worker, workerData } from "node:worker_threads";
import { EngineError } from "../errors.ts";

/** The starter's end of a worker. */
export type WorkerHandle = {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when it died, or ended by itself: an uncaught error's text, or the exit code's. */
  onEnd(listener: (why: string) => void): void;
  terminate(): Promise<void>;
  /** Whether this worker keeps the process alive. */
  keepAlive(on: boolean): void;
};

/** Starts a module as a worker. Its output goes to the process's own. */
export function startWorker(url: URL, data: unknown): WorkerHandle {
  const worker = new Worker(url, { workerData: data });
  let why: string | undefined;
  worker.on("error", (error: Error) => (why = error.stack ?? String(error)));
  return {
    post: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    onMessage: (listener) => void worker.on("message", listener),
    onEnd: (listener) =>
      void worker.on("exit", (code) => listener(why ?? `it exited with code ${code}`)),
    terminate: async () => void (await worker.terminate()),
    keepAlive: (on) => (on ? worker.ref() : worker.unref()),
  };
}

/** The worker's end. */
export type ParentHandle = {
  readonly data: unknown;
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
};

/** Inside a worker: what it was started with, and its line to the starter. */
export function parent(): ParentHandle {
  const port = parentPort;
  if (port === null) throw new EngineError("this module runs as a worker only");
  return {
    data: workerData,
    post: (message, transfer = []) => port.postMessage(message, [...transfer]),
    onMessage: (listener) => void port.on("message", listener),
  };
}

/** Lets messages and timers in: resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
