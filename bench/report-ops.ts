// The part of RESULTS.md about where the time of a step goes, op by op, beside what the machine can do at most.

import type { OpsResult } from "./ops.ts";
import { ops as remarks } from "./remarks.ts";
import { section } from "./sections.ts";
import type { Phase } from "./single-op.ts";
import { place, table } from "./tables.ts";

export function ops(runs: readonly OpsResult[]): string {
  return section(
    runs,
    `## By op

Each op alone, at the model's shapes. The share is of the sum of all ops; what the whole step takes beyond that sum is hand-offs, inputs
and logits. GOPS: multiplications and additions, 10⁹ a second; GB/s: of all that the op must read and write. In brackets, where it was
measured: the share of what the machine can do at most, arithmetic of the kind that the products use, or reading from memory (an op whose
numbers lie in caches may have more than that).`,
    (own) => own.map(ofRun).join("\n\n"),
    remarks,
  );
}

function ofRun(run: OpsResult): string {
  const { kernels, limits, model, dtype, wideVectors, threads, machine, date } = run;
  const vectors = wideVectors ? "256-bit vectors" : "128-bit vectors";
  const used = kernels?.machine_code.used ?? [];
  const native = kernels === undefined ? "" : `, ${used.length === 0 ? "no " : ""}machine code`;
  const title = `${model}, ${dtype}, ${vectors}${native}, ${threads} threads`;
  const said = [
    `A ${place(machine, date)}.`,
    ...(used.length === 0 ? [] : [`Machine code computes ${used.join(", ")}.`]),
    ...(limits === undefined
      ? []
      : [
          `At most: ${giga(limits.int8_operations_per_second)} GOPS with 8-bit integers, ` +
            `${giga(limits.float32_operations_per_second)} with float32, ` +
            `${giga(limits.memory_bytes_per_second)} GB/s from memory.`,
        ]),
  ];
  return run.phases
    .map((phase) => `#### ${phase.name}: ${title}\n\n${said.join(" ")} ${phaseText(phase, run)}`)
    .join("\n\n");
}

function phaseText({ ops: times, stepSeconds }: Phase, { limits, dtype }: OpsResult): string {
  const total = times.reduce((sum, { count, seconds }) => sum + count * seconds, 0);
  const arithmetic = dtype.endsWith(":int8")
    ? limits?.int8_operations_per_second
    : dtype.endsWith(":fixed16")
      ? undefined
      : limits?.float32_operations_per_second;
  const rows = times
    .toSorted((a, b) => b.count * b.seconds - a.count * a.seconds)
    .filter(({ count, seconds }) => count * seconds >= total / 500)
    .map(({ op, shapes, count, seconds, flops, bytes }) => [
      op,
      shapes,
      `${count}`,
      (seconds * 1e6).toFixed(1),
      `${((100 * count * seconds) / total).toFixed(1)} %`,
      flops === 0
        ? ""
        : giga(flops / seconds) + (op === "linear" ? share(flops / seconds, arithmetic) : ""),
      giga(bytes / seconds) + share(bytes / seconds, limits?.memory_bytes_per_second),
    ]);
  const header = ["op", "inputs", "times", "µs each", "share", "GOPS", "GB/s"];
  const sum = `Sum ${(total * 1e3).toFixed(2)} ms, whole step ${(stepSeconds * 1e3).toFixed(2)} ms.`;
  return `${sum}\n\n${table(header, rows)}`;
}

function giga(value: number): string {
  return (value / 1e9).toFixed(1);
}

function share(value: number, most: number | undefined): string {
  return most === undefined ? "" : ` [${((100 * value) / most).toFixed(0)} %]`;
}
