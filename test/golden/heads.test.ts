// forward/{seqcls,tokcls,qa}-f32.json: logits and losses of the classification and question-answering heads of Transformers 5.23,
// at the engine, on every backend and both attentions; and the gradients of their losses, in float64.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineCore } from "../../src/engine/core.ts";
import type { ForwardRequest, ForwardResult } from "../../src/engine/messages.ts";
import { InputError } from "../../src/errors.ts";
import type { ModelClass } from "../../src/models/heads.ts";
import type { Labels } from "../../src/models/losses.ts";
import { readSafetensors } from "../safetensors-file.ts";
import { goldenPath, goldenJson } from "../golden-files.ts";
import { attentions, backends, call, loadModel } from "./engines.ts";

type Case = {
  id: string;
  input_ids: number[] | number[][];
  attention_mask?: number[][];
  position_ids?: number[][] | null;
  error?: string;
  tensors?: Record<string, string>;
  losses?: {
    problem_type?: string;
    labels?: number[] | number[][];
    start_positions?: number[];
    end_positions?: number[];
    loss: number;
  }[];
};

/** goldens/README.md: |difference| ≤ 2e-4 for logits, 1e-4 relative for losses. */
const TOLERANCE = 2e-4;
const LOSS_TOLERANCE = 1e-4;

type Options = Record<string, unknown>;

/** A loaded checkpoint of the goldens, under the class that its config names. */
async function load(
  model: string,
  { backend, attention }: { backend: string; attention: "flash" | "eager" },
  options: Options = {},
): Promise<EngineCore> {
  const dir = goldenPath(`models/${model}`);
  const config = {
    ...(JSON.parse(readFileSync(`${dir}/config.json`, "utf8")) as Options),
    ...options,
  };
  const [modelClass] = config.architectures as ModelClass[];
  const source = { dir, config, dtype: "auto", attention, modelClass };
  return loadModel(source, await backends[backend]());
}

function requestOf(c: Case): ForwardRequest {
  const rows = (Array.isArray(c.input_ids[0]) ? c.input_ids : [c.input_ids]) as number[][];
  const [B, S] = [rows.length, rows[0].length];
  return {
    ...{ B, S, ids: Int32Array.from(rows.flat()), keepCache: false },
    mask: c.attention_mask && Uint8Array.from(c.attention_mask.flat()),
    positions: c.position_ids ? Int32Array.from(c.position_ids.flat()) : undefined,
    keep: Int32Array.from({ length: S }, (_, i) => i),
    wants: { logits: true, last: false, hidden: false, attentions: false },
  };
}

const integers = (labels: number[] | number[][] = []): Int32Array => Int32Array.from(labels.flat());
const floats = (labels: number[] | number[][] = []): Float32Array =>
  Float32Array.from(labels.flat());

for (const backend of Object.keys(backends)) {
  for (const attention of attentions) {
    describe.each(["seqcls-f32", "tokcls-f32", "qa-f32"])(
      `%s · ${backend} · ${attention}`,
      (model) => {
        const { cases } = goldenJson<{ cases: Case[] }>(`forward/${model}.json`);
        const tensors = readSafetensors(goldenPath(`forward/${model}.safetensors`));
        const golden = (name: string): ArrayLike<number> => {
          const found = tensors.get(name);
          if (found === undefined) throw new Error(`the golden has no tensor ${name}`);
          return found.data;
        };
        let core: EngineCore;
        let regression: EngineCore;
        let unpadded: EngineCore;
        beforeAll(async () => {
          const where = { backend, attention };
          core = await load(model, where);
          regression = await load(model, where, { problem_type: "regression" });
          unpadded = await load(model, where, { pad_token_id: null });
        });
        afterAll(() => expect(core.memory().pagesInUse).toBe(0));

        test.each(cases.filter(({ tensors: names }) => names !== undefined))("$id", async (c) => {
          const engine = c.id.startsWith("no_pad_token") ? unpadded : core;
          const { logits } = await engine.forward(requestOf(c), call);
          const names = Object.entries(c.tensors ?? {});
          const K = names.length;
          for (const [name, at] of names) {
            // Of a question answerer start and end lie side by side.
            const side = { logits: 0, start_logits: 0, end_logits: 1 }[name] ?? NaN;
            const got = logits?.filter((_, i) => i % K === side);
            const real = model === "seqcls-f32" ? undefined : c.attention_mask?.flat();
            expect(distance(got, golden(at), real)).toBeLessThanOrEqual(TOLERANCE);
          }
        });

        test.each(
          cases.flatMap((c) =>
            (c.losses ?? []).map((one) => [`${c.id} ${one.problem_type ?? ""}`, c, one] as const),
          ),
        )("loss of %s", async (_, c, one) => {
          const { problem_type, start_positions = [], end_positions = [], loss } = one;
          const spans = start_positions.flatMap((start, b) => [start, end_positions[b]]);
          const labels: Labels =
            model === "qa-f32"
              ? integers(spans)
              : problem_type === "regression" || problem_type === "multi_label_classification"
                ? floats(one.labels)
                : integers(one.labels);
          const engine = problem_type === "regression" ? regression : core;
          const result: ForwardResult = await engine.forward({ ...requestOf(c), labels }, call);
          expect(Math.abs((result.loss ?? NaN) / loss - 1)).toBeLessThanOrEqual(LOSS_TOLERANCE);
        });

        test.each(cases.filter(({ error }) => error !== undefined))("$id", async () => {
          const two = requestOf({
            id: "",
            input_ids: [
              [1, 2],
              [3, 4],
            ],
          });
          await expect(unpadded.forward(two, call)).rejects.toThrow(InputError);
        });

        test("every case of the golden is run", () => {
          for (const c of cases) expect(c.tensors ?? c.error).toBeDefined();
        });
      },
    );
  }
}

/** The largest difference, where `real` has no 0; NaN counts as infinitely far. */
function distance(
  actual: ArrayLike<number> | undefined,
  want: ArrayLike<number>,
  real?: readonly number[],
): number {
  expect(actual?.length).toBe(want.length);
  const width = real === undefined ? 1 : want.length / real.length;
  return Array.from(want).reduce((worst, value, i) => {
    if (real?.[Math.floor(i / width)] === 0) return worst;
    const d = Math.abs((actual?.[i] ?? NaN) - value);
    return Number.isNaN(d) ? Infinity : Math.max(worst, d);
  }, 0);
}
