import { describe, expect, test } from "vitest";
import { EngineError, MemoryError } from "../../src/errors.ts";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { Graph, type Op, type Tensor } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { f32 } from "../../src/ops/dtypes.ts";
import { linear } from "../../src/ops/linear.ts";
import { seeded } from "../random.ts";
import { chain, loadSeeded, logitsOf, planned, startTeam } from "./team.ts";

const flat = (logits: readonly Float32Array[]): number[] => logits.flatMap((values) => [...values]);
const features = detectFeatures();

describe("the same bits", () => {
  const chunks = [40, 1, 1, 17, 1, 5];

  test("whatever the threads, the shards, the chunks and the kind of memory", async () => {
    const whole = flat(await logitsOf({ threads: 1 }, [65]));
    expect(flat(await logitsOf({ threads: 1 }, chunks))).toEqual(whole);
    expect(flat(await logitsOf({ threads: 2 }, chunks))).toEqual(whole);
    expect(flat(await logitsOf({ threads: 3, shardBytes: 1 }, chunks))).toEqual(whole);
    expect(flat(await logitsOf({ threads: 1, shardBytes: 20_000 }, [30, 35]))).toEqual(whole);
    const unshared = { ...features, threads: false };
    expect(flat(await logitsOf({ threads: 1, features: unshared }, chunks))).toEqual(whole);
    expect(
      flat(await logitsOf({ threads: 1, features: { ...features, wideVectors: true } }, chunks)),
    ).toEqual(whole);
  });

  test("the plain build is near, and the same for any threads and chunks", async () => {
    const plain = { ...features, relaxedSimd: false };
    const whole = flat(await logitsOf({ threads: 1, features: plain }, [65]));
    expect(flat(await logitsOf({ threads: 2, features: plain }, chunks))).toEqual(whole);
    const fused = flat(await logitsOf({ threads: 1 }, [65]));
    const largest = Math.max(...fused.map(Math.abs));
    expect(Math.max(...whole.map((x, i) => Math.abs(x - fused[i])))).toBeLessThan(
      largest * 2 ** -18,
    );
  });

  test("random plans of sums, where slots are reused and few ops wait: 1 and 3 threads", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { plan, leaves } = randomSums(seed);
      const x = Float32Array.from(seeded(seed).numbers(64 * 40));
      const results: Float32Array[][] = [];
      for (const threads of [1, 3]) {
        const team = await startTeam({ threads }, leaves);
        const program = team.backend.compile(plan);
        const live = { rows: 64, wanted: 0 };
        results.push(await program.submit({ x }, live, [...plan.outputs.keys()]));
        await team.close();
      }
      expect(results[1]).toEqual(results[0]);
    }
  });
});

function randomSums(seed: number): ReturnType<typeof planned> {
  const random = seeded(seed);
  const graph = new Graph();
  const tensors: Tensor[] = [graph.leaf("x", "input", [64, 40], "f32", "rows")];
  const pick = (): Tensor => tensors[Math.max(0, tensors.length - 1 - random.below(5))];
  for (let i = 0; i < 60; i++) tensors.push(add(pick(), pick()));
  return planned(graph, tensors.slice(-2));
}

describe("memory", () => {
  const state = (pages: number) =>
    ({ name: "K", kind: "state", shape: [pages, 16, 4], dtype: "f32", regions: ["a"] }) as const;

  test("a state that is placed again, larger, keeps what it held; the rest is zero", async () => {
    const graph = new Graph();
    const sum = add(graph.leaf("K", "state", [2, 16, 4]), graph.leaf("K", "state", [2, 16, 4]));
    const { plan } = planned(graph, [sum]);
    const backend = await WasmBackend.create({ threads: 1 });
    await backend.place([state(2)]);
    await loadSeeded(backend, [state(2)]);
    const program = backend.compile(plan);
    const [before] = await program.submit({}, { rows: 0, wanted: 0 }, [0]);
    await backend.place([
      { name: "other", kind: "weight", shape: [1000], dtype: "f32", regions: ["a"] },
      state(50),
    ]);
    expect(await program.submit({}, { rows: 0, wanted: 0 }, [0])).toEqual([before]);
    expect(before.some((x) => x !== 0)).toBe(true);

    const other = new Graph();
    const wide = other.leaf("K", "state", [50, 16, 4]);
    const whole = backend.compile(planned(other, [add(wide, wide)]).plan);
    const [after] = await whole.submit({}, { rows: 0, wanted: 0 }, [0]);
    expect(after.subarray(0, before.length)).toEqual(before);
    expect(after.subarray(before.length).every((x) => x === 0)).toBe(true);
  });

  test("memory that grows after the helpers have started is theirs too", async () => {
    const tiny = {
      name: "tiny",
      kind: "weight",
      shape: [4],
      dtype: "f32",
      regions: ["embed"],
    } as const;
    const { plan, leaves } = chain(64, 700, 4);
    const inputs = { ids: Int32Array.from({ length: 64 }, (_, t) => t % 10) };
    const results: Float32Array[] = [];
    for (const threads of [1, 3]) {
      const team = await startTeam({ threads }, [tiny]);
      await team.backend.place(leaves);
      await loadSeeded(team.backend, leaves);
      const program = team.backend.compile(plan);
      const live = { rows: 64, wanted: 0 };
      for (let run = 0; run < 4; run++) await program.submit(inputs, live, []);
      results.push(...(await program.submit(inputs, live, [0])));
      await team.close();
    }
    expect(results[1]).toEqual(results[0]);
  });

  test("what does not fit is refused with the arithmetic, and nothing is taken", async () => {
    const backend = await WasmBackend.create({ threads: 1, memoryLimit: 100_000 });
    await backend.place([state(10)]);
    const before = backend.memory();
    const large = {
      name: "w",
      kind: "weight",
      shape: [300, 100],
      dtype: "f32",
      regions: ["b"],
    } as const;
    await expect(backend.place([large])).rejects.toThrow(MemoryError);
    await expect(backend.place([large])).rejects.toThrow(
      /0\.12 MB.*limit of 0\.10 MB less 2\.6 kB in use leaves 97\.4 kB/,
    );
    expect(backend.memory()).toEqual(before);
    await backend.place([{ ...large, dtype: "bf16" }]);
    expect(backend.memory().weights).toBe(60_000);
    backend.release(["w"]);
    expect(backend.memory().weights).toBe(0);
  });

  test("a program that needs more scratch moves that of all; one that does not fit is refused, and the others run on", async () => {
    const sums = (rows: number) => {
      const graph = new Graph();
      const x = graph.leaf("x", "input", [rows, 8], "f32", "rows");
      return planned(graph, [add(add(x, x), x)]).plan;
    };
    const backend = await WasmBackend.create({ threads: 1, memoryLimit: 200_000 });
    const x = Float32Array.from({ length: 16 }, (_, i) => i);
    const small = backend.compile(sums(2));
    const large = backend.compile(sums(1000));
    const { scratch } = backend.memory();
    expect(() => backend.compile(sums(4000))).toThrow(
      /^scratch of a program needs 0\.38 MB, but the limit of 0\.20 MB less \d+\.\d kB in use leaves/,
    );
    expect(backend.memory().scratch).toBe(scratch);
    for (const program of [small, large, small]) {
      const [sum] = await program.submit({ x }, { rows: 2, wanted: 0 }, [0]);
      expect(sum).toEqual(x.map((value) => 3 * value));
    }
    large.dispose();
    const [sum] = await small.submit({ x }, { rows: 1, wanted: 0 }, [0]);
    expect(sum).toEqual(x.subarray(0, 8).map((value) => 3 * value));
  });

  test("a tensor of more than a memory's 4 GiB is refused, and nothing is taken", async () => {
    const backend = await WasmBackend.create({ threads: 1, memoryLimit: 1e12 });
    const huge = {
      name: "w",
      kind: "weight",
      shape: [2 ** 20, 2 ** 10 + 1],
      dtype: "f32",
      regions: ["a"],
    } as const;
    await expect(backend.place([state(1), huge])).rejects.toThrow(
      /weight w needs .* GB in memory 0/,
    );
    expect(backend.memory()).toEqual({ weights: 0, states: 0, scratch: 0 });
  });

  test("another backend adopts memories and goes on", async () => {
    const { plan, leaves } = chain(4, 24, 5);
    const inputs = { ids: Int32Array.of(1, 2, 3, 9) };
    const live = { rows: 4, wanted: 0 };
    const first = await startTeam({ threads: 2, shardBytes: 3000 }, leaves);
    await loadSeeded(first.backend, leaves);
    const program = first.backend.compile(plan);
    const expected = await program.submit(inputs, live, [0]);
    const adopted = structuredClone(first.backend.adopted());
    expect(adopted.memories.length).toBeGreaterThan(1);
    const second = await WasmBackend.create({ threads: 2, adopted });
    const again = second.compile(plan);
    expect(await again.submit(inputs, live, [0])).toEqual(expected);
    expect(second.memory().weights).toBe(first.backend.memory().weights);
    await first.close();
  });
});

describe("refusals", () => {
  test("an op without a kernel, a leaf of another shape, inputs that are missing or too many", async () => {
    const graph = new Graph();
    const x = graph.leaf("x", "input", [2, 3], "f32", "rows");
    const w = graph.leaf("w", "weight", [4, 3]);
    const unknown: Op<object> = {
      name: "unheard_of",
      takes: [f32],
      gives: ["f32"],
      shapes: () => [{ shape: [2, 3], live: "rows" }],
      run: () => {},
    };
    const backend = await WasmBackend.create({ threads: 1 });
    const odd = planned(graph, graph.emit(unknown, [x], {})).plan;
    expect(() => backend.compile(odd)).toThrow(/unheard_of has no kernel on the CPU backend/);
    const sum = planned(graph, [linear(x, w)]).plan;
    expect(() => backend.compile(sum)).toThrow(EngineError);
    await backend.place([{ name: "w", kind: "weight", shape: [3, 3], dtype: "f32", regions: [] }]);
    expect(() => backend.compile(sum)).toThrow(
      /leaf w: the plan wants f32 \[4, 3\], but f32 \[3, 3\] is placed/,
    );
    const program = backend.compile(planned(graph, [add(x, x)]).plan);
    await expect(program.submit({}, { rows: 1, wanted: 0 }, [])).rejects.toThrow(
      /input x: no numbers came, 3 are needed/,
    );
    const six = { x: new Float32Array(9) };
    await expect(program.submit(six, { rows: 3, wanted: 0 }, [])).rejects.toThrow(
      /3 rows came, the plan has room for 2/,
    );
    await program.submit(six, { rows: 2, wanted: 0 }, []);
  });

  test("threads without shared memory, no SIMD", async () => {
    const unshared = { ...features, threads: false };
    await expect(WasmBackend.create({ threads: 2, features: unshared })).rejects.toThrow(
      /cannot be shared here/,
    );
    await expect(WasmBackend.create({ threads: 0 })).rejects.toThrow(/expected 1 to/);
    await expect(
      WasmBackend.create({ threads: 1, features: { ...features, simd: false } }),
    ).rejects.toThrow(/needs WebAssembly SIMD/);
  });
});
