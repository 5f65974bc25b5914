// Workers on Node: starts one and exchanges messages with it, and the worker's own side of that. A browser build offers the same
// functions. Knows where this package's worker modules lie, and nothing of what they do.

import { parentPort, Worker, workerData } from "node:worker_threads";
import { EngineError } from "../errors.ts";

/** The modules of src/engine/ that run as workers, by file name. */
export type WorkerModule = "worker" | "helper" | "probe-worker" | "quantize-worker";

/** The starter's end of a worker. */
export type WorkerHandle = {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Calls `listener` once, when the worker has ended: with the text of its uncaught error, or one that names the exit code. */
  onEnd(listener: (why: string) => void): void;
  terminate(): Promise<void>;
  /** Whether this worker keeps the process alive. */
  keepAlive(on: boolean): void;
};

/**
 * Starts a module as a worker. Its output goes to the process's own.
 * @param module one of this package's, or the URL of another one (tests have their own)
 * @param data what `parent()` gives there
 */
export function startWorker(module: WorkerModule | URL, data: unknown): WorkerHandle {
  const worker = makeWorker(typeof module === "string" ? urlOf(module) : module, data);
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

/**
 * Workers inherit the process's flags. A program given to Node as text may come with --input-type, and with that flag Node runs nothing
 * but text: the module is then imported by a line of text.
 * @throws EngineError flags that forbid workers
 */
function makeWorker(module: URL, data: unknown): Worker {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ""];
  const isText = flags.some((flag) => flag.includes("--input-type"));
  const entry = isText ? `import(${JSON.stringify(module.href)})` : module;
  try {
    return new Worker(entry, { workerData: data, eval: isText });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_ACCESS_DENIED"))
      throw cause;
    throw new EngineError(
      "no thread can be started: Node runs with --permission; add --allow-worker to its flags",
      { cause },
    );
  }
}

/** As source or as built: dist/ mirrors src/. */
function urlOf(module: WorkerModule): URL {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`../engine/${module}.${extension}`, import.meta.url);
}

/** The worker's end. */
export type ParentHandle = {
  readonly data: unknown;
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  /** To be called once. Messages that came before are kept for the listener. */
  onMessage(listener: (message: unknown) => void): void;
};

/**
 * Inside a worker: the data that it was started with, and messages to and from its starter. A worker's module calls it once, before
 * it awaits anything else: on some platforms the data comes as the first message, which could otherwise be lost.
 */
export async function parent(): Promise<ParentHandle> {
  const port = parentPort;
  if (port === null) throw new EngineError("this module runs as a worker only");
  return {
    data: workerData,
    post: (message, transfer = []) => port.postMessage(message, [...transfer]),
    onMessage: (listener) => void port.on("message", listener),
  };
}

/** Resolves in the next turn of the event loop, so that messages and timers are handled before. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
