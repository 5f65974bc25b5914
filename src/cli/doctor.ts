// `mistral doctor`: shows what this machine offers and what was chosen, for people or as JSON. Exit code 1: models cannot run here.
// Does not know how it is found out.

import { systemReport } from "../api/measurement/system-report.ts";
import type { SystemReport } from "../api/measurement/system-report.ts";
import type { Arguments } from "./arguments.ts";
import { programName } from "./program-name.ts";
import { bytes, fitted, styled, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** @returns the exit code */
export async function doctor({ flags }: Arguments, io: Io): Promise<number> {
  const report = await systemReport(!flags["no-revectorize"], !flags["no-native"], flags.threads);
  const text = flags.json
    ? JSON.stringify(report, undefined, 2)
    : fitted(io.stdout, describe(report, io));
  await write(io.stdout, `${text}\n`);
  return problems(report).length === 0 ? 0 : 1;
}

function describe(report: SystemReport, { stdout }: Io): string {
  const { cpu, memory, wasm, chosen, default_model: model } = report;
  const yes = (on: boolean): string => (on ? "yes" : styled(stdout, "red", "no"));
  const sections: [string, [string, string][]][] = [
    [
      "This machine",
      [
        ["runtime", `${report.runtime}, ${report.system}`],
        [
          "processor",
          `${cpu.model}: ${count(cpu.cores, "core")}, ${count(cpu.threads, "hardware thread")}`,
        ],
        ...(cpu.instructions.length === 0
          ? []
          : ([["instructions", cpu.instructions.join(" ")]] satisfies [string, string][])),
        ["memory", `${bytes(memory.available)} available of ${bytes(memory.total)}`],
      ],
    ],
    [
      "WebAssembly",
      [
        ["SIMD", yes(wasm.simd)],
        ["relaxed SIMD", yes(wasm.relaxed_simd)],
        ["shared memory", yes(wasm.shared_memory)],
        ["256-bit vectors", `${yes(wasm.revectorize)} (V8's revectorize${selfTest(report)})`],
      ],
    ],
    [
      "Chosen",
      [
        ["device", chosen.device],
        ["kernels", `${chosen.kernels}, ${chosen.vector_bits} bits, ${dotForm(report)}`],
        ...machineCode(report),
        ["threads", String(chosen.threads)],
        ["attention", `${chosen.attn_implementation} (online softmax, no T×T matrix)`],
        [
          "model",
          model === null
            ? styled(stdout, "red", "missing")
            : `${model.path} (${bytes(model.weight_bytes)})`,
        ],
      ],
    ],
    [`To expect of a Mistral-7B${disturbed(report)}`, expectations(report)],
  ];
  const blocks = sections.map(([title, rows]) =>
    [
      styled(stdout, "bold", title),
      ...rows.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    ].join("\n"),
  );
  const wrong = problems(report);
  const verdict =
    wrong.length === 0
      ? [`Ready: try ${programName()} run`]
      : wrong.map((problem) => styled(stdout, "red", problem));
  return [...blocks, verdict.join("\n")].join("\n\n");
}

function selfTest({ wasm }: SystemReport): string {
  return wasm.self_test === null ? "" : `; self-test ${wasm.self_test}`;
}

/** How 8-bit dot products are summed. */
function dotForm({ chosen }: SystemReport): string {
  const { dot_sum_bits: bits } = chosen;
  return bits === null ? "no 8-bit dot products" : `8-bit dot products summed in ${bits} bits`;
}

/** What machine code computes, then what it does not compute. */
function machineCode({ chosen }: SystemReport): [string, string][] {
  const { used, not_used } = chosen.machine_code;
  const lines = [
    ...used,
    ...not_used.map((reason) => `not used${used.length > 0 ? " for" : ":"} ${reason}`),
  ];
  return lines.map((line, i) => [i === 0 ? "machine code" : "", line]);
}

/** Above this load other programs disturb the measurement. */
const BUSY = 0.5;

function disturbed({ cpu }: SystemReport): string {
  return cpu.load > BUSY ? " (other programs are running: without them it is faster)" : "";
}

/** A row for each method: its size, the speed of prompts and of text, and whether it does not fit into memory. */
function expectations({ expected_7b, memory }: SystemReport): [string, string][] {
  if (expected_7b === null) return [["", "not measured: too little memory"]];
  return expected_7b.map((speed) => {
    const computed = speed.compute_dtype === "float32" ? "" : ` (${speed.compute_dtype})`;
    const fits = speed.weight_bytes < memory.available ? "" : "; does not fit into memory now";
    const [prompt, text] = [speed.prompt_tokens_per_second, speed.tokens_per_second].map((x) =>
      x.toFixed(x < 20 ? 1 : 0),
    );
    return [
      speed.method + computed,
      `${bytes(speed.weight_bytes)}: prompts ${prompt} tokens/s, text ${text} tokens/s${fits}`,
    ];
  });
}

/** What prevents models from running, each with its remedy. */
function problems({ chosen, default_model }: SystemReport): string[] {
  return [
    ...(chosen.device === "none"
      ? ["WebAssembly has no SIMD here: use Node 24 or newer on a 64-bit processor"]
      : []),
    ...(default_model === null
      ? [
          "The embedded model has no weights: install the package again, or name a model with --model",
        ]
      : []),
  ];
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
