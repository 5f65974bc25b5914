// The engine worker: loads the model, receives calls as messages, and answers them. The core below it knows no messages.

import { EngineError } from "../errors.ts";
import { parent } from "#platform";
import { makeBackend } from "./backends.ts";
import { workerControl } from "./control.ts";
import { EngineCore } from "./core.ts";
import { errorData } from "./errors.ts";
import type { CallName, Calls, EngineStart, FromEngine, LoadReport, ToEngine } from "./messages.ts";
import type { Call } from "./steps.ts";

/** Ends an aborted call here in the worker. Its caller's promise has rejected already, so that nothing is answered. */
class CallAborted extends Error {}

type Request = Exclude<ToEngine, { type: "abort" | "taken" }>;

const line = await parent();
const start = line.data as EngineStart;
const control = workerControl(start.control);
const aborted = new Set<number>();
const running = new Set<number>();
/** Resolves when all aborted calls have given their pages back: then the memory report counts none of theirs. */
let settled = Promise.withResolvers<void>();

const send = (message: FromEngine, transfer?: readonly ArrayBuffer[]): void =>
  line.post(message, transfer);

async function load(): Promise<{ core: EngineCore; report: LoadReport }> {
  const backend = await makeBackend(start.backend, control.stop);
  const placed = (): void => {
    const handover = backend.handover?.();
    if (handover !== undefined) send({ type: "handover", handover });
  };
  return EngineCore.load(
    start.model,
    backend,
    {
      beforeStep: control.beforeStep,
      placed,
      weightsAreThere: start.backend.adopted !== undefined,
      restarts: start.restarts,
    },
    (progress) => send({ type: "progress", ...progress }),
  );
}

const loading = load();
line.onMessage((message) => {
  control.countReceived();
  void take(message as ToEngine);
});
try {
  send({ type: "ready", ...(await loading).report });
} catch (error) {
  send({ type: "broken", error: errorData(error) });
}

async function take(message: ToEngine): Promise<void> {
  switch (message.type) {
    case "abort":
      if (running.has(message.id)) aborted.add(message.id);
      return (await loading).core.wake();
    case "taken":
      return (await loading).core.taken(message.id, message.count);
    default:
      return answer(message);
  }
}

async function answer({ type, id, request, abortable = false }: Request): Promise<void> {
  running.add(id);
  const call: Call = {
    id,
    abortable,
    throwIfAborted: () => {
      if (aborted.has(id)) throw new CallAborted();
    },
  };
  try {
    const result = await serve(type, id, request, call);
    send({ type: "done", id, result }, buffersOf(result));
  } catch (error) {
    if (!(error instanceof CallAborted)) send({ type: "failed", id, error: errorData(error) });
  } finally {
    running.delete(id);
    if (aborted.delete(id) && aborted.size === 0) {
      settled.resolve();
      settled = Promise.withResolvers();
    }
  }
}

async function serve<N extends CallName>(
  type: N,
  id: number,
  request: Calls[N]["request"],
  call: Call,
): Promise<Calls[CallName]["result"]> {
  const { core } = await loading;
  switch (type) {
    case "forward":
      return core.forward(request as Calls["forward"]["request"], call);
    case "generate":
      return core.generate(request as Calls["generate"]["request"], call, (report) =>
        send({ type: "tokens", id, report }),
      );
    case "cache":
      return core.cache(request as Calls["cache"]["request"]);
    case "weight":
      return core.weight((request as Calls["weight"]["request"]).name);
    case "memory":
      if (aborted.size > 0) await settled.promise;
      return core.memory();
  }
  throw new EngineError(`the engine has no call ${String(type)}`);
}

/** The buffers of a result's typed arrays, which move instead of being copied. */
function buffersOf(result: unknown): ArrayBuffer[] {
  if (typeof result !== "object" || result === null) return [];
  const arrays = Object.values(result)
    .flat()
    .filter((value) => ArrayBuffer.isView(value));
  return [...new Set(arrays.map((array) => array.buffer))].filter(
    (buffer) => buffer instanceof ArrayBuffer,
  );
}
