// For tests: a backend on this thread with helpers as workers, plans of a few ops, and a small model on random steps.

import { startWorker, type WorkerHandle } from "#platform";
import { WasmBackend, type WasmOptions } from "../../src/backends/wasm/backend.ts";
import type { HelperData } from "../../src/backends/wasm/threads.ts";
import { elements, Graph, type Node, type Tensor } from "../../src/graph/graph.ts";
import { makePlan, type Plan } from "../../src/graph/plan.ts";
import { embed } from "../../src/ops/embed.ts";
import { linear } from "../../src/ops/linear.ts";
import { Runner } from "../../src/generate/runner.ts";
import { MistralConfig } from "../../src/models/config.ts";
import type { LeafSpec } from "../../src/backends/backend.ts";
import { seeded } from "../random.ts";
import { stepModel } from "../tiny-model.ts";

export type TestTeam = { backend: WasmBackend; helpers: WorkerHandle[]; close(): Promise<void> };

export function startHelper(data: HelperData): WorkerHandle {
  return startWorker("helper", { backend: "wasm", data });
}

/** Places `leaves`, starts the helpers and waits until they are there. */
export async function startTeam(
  options: WasmOptions,
  leaves: readonly LeafSpec[],
): Promise<TestTeam> {
  const backend = await WasmBackend.create(options);
  await backend.place(leaves);
  const helpers = backend.helpers().map(startHelper);
  while (backend.ready < options.threads) await new Promise((resolve) => setTimeout(resolve, 5));
  return {
    backend,
    helpers,
    close: async () => {
      await Promise.all(helpers.map((helper) => helper.terminate()));
      await backend.dispose();
    },
  };
}

/** Fills every leaf with seeded numbers of [−1, 1), in its own format. */
export async function loadSeeded(backend: WasmBackend, leaves: readonly LeafSpec[]): Promise<void> {
  for (const [i, { name, dtype, shape }] of leaves.entries()) {
    const values = Float32Array.from(seeded(i + 1).numbers(elements(shape)), (x) => x / 4);
    const high = (x: number): number => new Uint32Array(Float32Array.of(x).buffer)[0] >>> 16;
    const bytes = new Uint8Array(
      dtype === "f32" ? values.buffer : Uint16Array.from(values, high).buffer,
    );
    await backend.load(name, async ([target]) => target.set(bytes));
  }
}

/** x [T, H] → `layers` times linear [H, H]; each layer is a region. */
export function chain(T: number, H: number, layers: number): { plan: Plan; leaves: LeafSpec[] } {
  const graph = new Graph();
  let x: Tensor = graph.region("embed", () =>
    embed(graph.leaf("ids", "input", [T], "i32", "rows"), graph.leaf("table", "weight", [10, H])),
  );
  for (let i = 0; i < layers; i++) {
    x = graph.region(`layers.${i}`, () => linear(x, graph.leaf(`w.${i}`, "weight", [H, H])));
  }
  return planned(graph, [x]);
}

export function planned(graph: Graph, outputs: Tensor[]): { plan: Plan; leaves: LeafSpec[] } {
  const plan = makePlan(graph, outputs);
  const leaves = [...plan.leaves.values()].flatMap(
    ({ name, kind, shape, dtype, id }): LeafSpec[] => {
      if (kind === "input") return [];
      const users = plan.nodes.filter((node: Node) => node.ins.some((t) => t.id === id));
      return [
        {
          name,
          kind,
          shape,
          dtype,
          regions: [...new Set(users.map(({ region }) => region ?? "head"))],
        },
      ];
    },
  );
  return { plan, leaves };
}

/** Grouped queries, a tied head, sizes that are no multiples of the lanes. */
export const smallConfig: MistralConfig = new MistralConfig({
  ...{ vocab_size: 50, hidden_size: 36, intermediate_size: 75, num_hidden_layers: 3, head_dim: 10 },
  ...{
    num_attention_heads: 6,
    num_key_value_heads: 2,
    sliding_window: 20,
    tie_word_embeddings: true,
  },
});

/** A model on a backend of its own; steps of one sequence, in chunks. Returns all logits. */
export async function logitsOf(
  options: WasmOptions,
  chunks: readonly number[],
): Promise<Float32Array[]> {
  const model = stepModel(smallConfig, "bf16");
  const single = await WasmBackend.create({ threads: 1 });
  const specs = new Runner(model, single).weightLeaves({ logits: true });
  const team = await startTeam(options, specs);
  try {
    const runner = new Runner(model, team.backend);
    await loadSeeded(team.backend, specs);
    await runner.growPool(8);
    const logits: Float32Array[] = [];
    let begin = 0;
    for (const T of chunks) {
      const at = Array.from({ length: T }, (_, t) => begin + t);
      begin += T;
      const pages = Array.from({ length: 8 }, (_, p) => [
        p,
        begin >= p * 16 + 16 ? 0xffff : (1 << Math.max(0, begin - p * 16)) - 1,
      ]);
      const step = await runner.step(
        {
          ids: Int32Array.from(at, (column) => (column * 17 + 3) % 50),
          positions: at,
          seq: new Int32Array(T),
          at: Int32Array.from(at),
          slots: Int32Array.from(at),
          pages: Int32Array.from(pages.flat()),
          tables: { S: 1, P: 8 },
          want: Int32Array.from(at.keys()),
        },
        { logits: true },
      );
      if (step.logits !== undefined) logits.push(step.logits);
    }
    return logits;
  } finally {
    await team.close();
  }
}
