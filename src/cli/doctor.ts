// `mistral doctor`: what this machine offers and what was chosen, for people or as JSON. 1 when models cannot run here.
// Knows nothing of how it is found out.

import { systemReport } from "../api/system-report.ts";
import type { SystemReport } from "../api/system-report.ts";
import type { Arguments } from "./arguments.ts";
import { bytes, styled, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

/** @returns the exit code */
export async function doctor({ flags }: Arguments, io: Io): Promise<number> {
  const report = await systemReport(!flags["no-revectorize"], flags.threads);
  const text = flags.json ? JSON.stringify(report, undefined, 2) : describe(report, io);
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
        ["memory", `${bytes(memory.available)} available of ${bytes(memory.total)}`],
      ],
    ],
    [
      "WebAssembly",
      [
        ["SIMD", yes(wasm.simd)],
        ["relaxed SIMD", yes(wasm.relaxed_simd)],
        ["shared memory", yes(wasm.shared_memory)],
        ["256-bit vectors", `${yes(wasm.revectorize)} (V8's revectorize)`],
      ],
    ],
    [
      "Chosen",
      [
        ["device", chosen.device],
        ["kernels", chosen.kernels],
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
      ? ["Ready: try mistral run"]
      : wrong.map((problem) => styled(stdout, "red", problem));
  return [...blocks, verdict.join("\n")].join("\n\n");
}

/** What keeps models from running, each with its remedy. */
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
