// Runs what the CPU backend makes of a case: its plan is lowered and encoded as for a program, and the executor does each op, on one
// thread, with a scratch of just so many bytes as the encoder asks for, between guard zones.

import { encode } from "../../src/backends/wasm/encode.ts";
import type { Encoded } from "../../src/backends/wasm/encoded.ts";
import {
  ARGS_WORD,
  LINE_BYTES,
  LINES,
  OP_BYTES,
  PROGRAM_HEADER,
  SCRATCH,
  STOP,
  SUMS_32,
  WIDE,
} from "../../src/backends/wasm/kernels/header.ts";
import { lower } from "../../src/backends/wasm/lower.ts";
import { elements, type Node, type Tensor } from "../../src/graph/graph.ts";
import { makePlan } from "../../src/graph/plan.ts";
import { record, type Run } from "./case.ts";
import type { KernelBench } from "./wasm-kernels.ts";

export type EncodedOp = {
  readonly node: Node;
  /** Bytes of scratch that its encoder asks for. */
  readonly scratch: number;
  /** The first byte that it wrote beside its tensors and its scratch. */
  readonly damaged: number | undefined;
};

/** @param less bytes of scratch that each op is denied: to show that it is noticed */
export function runEncoded(
  bench: KernelBench,
  run: Run,
  { wide = false, less = 0 }: { wide?: boolean; less?: number } = {},
): EncodedOp[] {
  const { graph, leaves, node } = record(run);
  bench.clear();
  const places = new Map<number, number[]>();
  leaves.forEach(({ id }, i) => places.set(id, bench.put(run.ins[i])));
  const at = (t: Tensor, part = 0): number => {
    const place = places.get(t.id) ?? [bench.reserve(4 * elements(t.shape))];
    places.set(t.id, place);
    return place[part];
  };
  return lower(makePlan(graph, node.outs)).nodes.map((op) => {
    const encoded = encode(op, at);
    const scratch = Math.max(0, encoded.scratch - less);
    bench.set(SCRATCH, Int32Array.of(bench.reserveScratch(scratch), scratch));
    bench.set(WIDE, Int32Array.of(wide ? 1 : 0));
    bench.set(SUMS_32, Int32Array.of(0));
    bench.set(STOP, Int32Array.of(0));
    runAlone(bench, encoded);
    return { node: op, scratch: encoded.scratch, damaged: bench.damaged() };
  });
}

/** A program of one op, see kernels/header.ts. */
function runAlone(bench: KernelBench, { code, rows, args }: Encoded): void {
  const [program, line] = [PROGRAM_HEADER + OP_BYTES, LINE_BYTES].map((bytes) =>
    bench.reserve(bytes, 0),
  );
  const words = new Int32Array((PROGRAM_HEADER + OP_BYTES) / 4);
  const op = PROGRAM_HEADER / 4;
  words[0] = 1;
  words.set([code, 0, 1, 0, rows.shape[0]], op);
  words.set(args, op + ARGS_WORD);
  bench.set(program, words);
  bench.set(LINES, Int32Array.of(line));
  bench.kernels.prepare(program, 1, 1);
  bench.kernels.run(program, 0, 1);
}
