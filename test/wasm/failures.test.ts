import { startWorker } from "#platform";
import { describe, expect, test } from "vitest";
import type { Adopted } from "../../src/backends/wasm/backend.ts";
import { helperGone, type HelperData, stopTeam } from "../../src/backends/wasm/threads.ts";
import { Graph, type Op, type Tensor } from "../../src/graph/graph.ts";
import { f32 } from "../../src/ops/dtypes.ts";
import { linear } from "../../src/ops/linear.ts";
import { chain, loadSeeded, planned, startHelper, startTeam } from "./team.ts";

const trapOp: Op<object> = {
  name: "trap",
  takes: [f32],
  gives: ["f32"],
  shapes: ([x]) => [{ shape: x.shape, live: x.live }],
  run: () => {},
};
const trap = (x: Tensor): Tensor => x.graph.emit(trapOp, [x], {})[0];

describe("a kernel that traps", () => {
  test.for([1, 2, 3])(
    "gives an EngineError with its name; the next run works (%i threads)",
    async (threads) => {
      const { plan, leaves } = chain(64, 32, 3);
      const team = await startTeam({ threads }, leaves);
      try {
        await loadSeeded(team.backend, leaves);
        const good = team.backend.compile(plan);
        const ids = Int32Array.from({ length: 64 }, (_, t) => t % 10);
        const live = { rows: 64, wanted: 0 };
        const expected = await good.submit({ ids }, live, [0]);

        const graph = new Graph();
        const x = graph.leaf("x", "input", [64, 32], "f32", "rows");
        const bad = team.backend.compile(
          planned(graph, [linear(trap(x), graph.leaf("w.0", "weight", [32, 32]))]).plan,
        );
        for (let round = 0; round < 20; round++) {
          await expect(bad.submit({ x: new Float32Array(64 * 32) }, live, [0])).rejects.toThrow(
            /^trap: the kernel failed \(RuntimeError: unreachable\); the step is void, the next call works$/,
          );
          expect(await good.submit({ ids }, live, [0])).toEqual(expected);
        }
        await expect(good.submit({ ids: ids.with(63, 10) }, live, [0])).rejects.toThrow(
          /^embed: the kernel failed/,
        );
        expect(await good.submit({ ids }, live, [0])).toEqual(expected);
        expect(team.backend.ready).toBe(threads);
      } finally {
        await team.close();
      }
    },
  );
});

describe("a stop", () => {
  test("before a run hits that run; the next one works", async () => {
    const { plan, leaves } = chain(4, 16, 2);
    const team = await startTeam({ threads: 2 }, leaves);
    try {
      await loadSeeded(team.backend, leaves);
      const program = team.backend.compile(plan);
      const inputs = { ids: Int32Array.of(1, 2, 3, 4) };
      team.backend.stop();
      await expect(program.submit(inputs, { rows: 4, wanted: 0 }, [0])).rejects.toMatchObject({
        name: "Aborted",
      });
      await program.submit(inputs, { rows: 4, wanted: 0 }, [0]);
    } finally {
      await team.close();
    }
  });
});

type Message = {
  adopted?: Adopted;
  helpers?: HelperData[];
  begun?: number;
  run?: number;
  sum?: number;
  error?: string;
  message?: string;
};

/** A leader in a worker, two helpers; `act` is called once when run 1 has begun. Returns how each run ended, and when. */
async function runs(
  act: (team: { adopted: Adopted; kill(): Promise<void> }) => Promise<void>,
): Promise<(Message & { ms: number })[]> {
  const RUNS = 4;
  const leader = startWorker(new URL("./leader-worker.ts", import.meta.url), {
    ...{ threads: 3, T: 512, H: 256, layers: 120, runs: RUNS },
  });
  const ended: (Message & { ms: number })[] = [];
  const finished = Promise.withResolvers<void>();
  let helpers = new Map<number, ReturnType<typeof startWorker>>();
  let adopted: Adopted | undefined;
  let data: HelperData[] = [];
  let begun = 0;
  const kill = async (): Promise<void> => {
    await helpers.get(1)?.terminate();
    if (adopted !== undefined) helperGone(adopted.memories, adopted.control, 1);
    helpers.set(1, startHelper(data[0]));
  };
  leader.onEnd((why) => finished.reject(new Error(why)));
  leader.onMessage((message) => {
    const m = message as Message;
    if (m.helpers !== undefined && m.adopted !== undefined) {
      data = m.helpers;
      adopted = m.adopted;
      helpers = new Map(data.map((helper) => [helper.index, startHelper(helper)]));
    } else if (m.begun !== undefined) {
      begun = performance.now();
      if (m.begun === 1 && adopted !== undefined) {
        const team = { adopted, kill };
        setTimeout(() => void act(team), 20);
      }
    } else {
      ended.push({ ...m, ms: performance.now() - begun });
      if (ended.length === RUNS) finished.resolve();
    }
  });
  await finished.promise;
  await Promise.all([
    leader.terminate(),
    ...[...helpers.values()].map((helper) => helper.terminate()),
  ]);
  return ended;
}

describe("from another thread, in the middle of a run", () => {
  test("a stop takes effect long before the run would end, and the next run gives what it gave before", async () => {
    const ended = await runs(async ({ adopted }) => stopTeam(adopted.memories, adopted.control));
    expect(ended.map(({ error }) => error)).toEqual([undefined, "Aborted", undefined, undefined]);
    expect(ended[1].ms).toBeLessThan(ended[0].ms * 0.7);
    expect(ended[2].sum).toBe(ended[0].sum);
  });

  test("a helper that dies voids at most that run; the next ones give what they gave before", async () => {
    const ended = await runs(({ kill }) => kill());
    // It may have died between two chunks: then nothing was lost.
    const { error, message, sum } = ended[1];
    if (error === undefined) expect(sum).toBe(ended[0].sum);
    else
      expect(`${error}: ${message}`).toMatch(
        /^EngineError: linear: a thread of the CPU backend died in it/,
      );
    expect(ended[2].sum).toBe(ended[0].sum);
    expect(ended[3].sum).toBe(ended[0].sum);
  });
});
