// mistral.ts through its public API, as a contestant: the other side of protocol.ts.
// MISTRAL_BENCH_REVECTORIZE=1: as the `mistral` command runs it; else as a library user gets it. MISTRAL_BENCH_NATIVE=0: without
// machine code. `options.keep` is a name of methods.ts; the other options go to from_pretrained as they are.

import {
  AutoModelForCausalLM,
  env,
  type MistralForCausalLM,
  type LoadOptions,
} from "../../src/index.ts";
import { chosenKernels } from "../../src/api/measurement/chosen-kernels.ts";
import { detectFeatures } from "../../src/backends/wasm/features.ts";
import { keptAs } from "../methods.ts";
import { type Contestant, serve, timed } from "./protocol.ts";

env.wasm.revectorize = process.env.MISTRAL_BENCH_REVECTORIZE === "1";
env.native = process.env.MISTRAL_BENCH_NATIVE === "0" ? false : "auto";
let model: MistralForCausalLM | undefined;

function loaded(): MistralForCausalLM {
  if (model === undefined) throw new Error("nothing has been loaded");
  return model;
}

const contestant: Contestant = {
  async load({ dir, dtype, threads, options }) {
    const { keep, ...others } = options ?? {};
    const kept = typeof keep === "string" ? keptAs(keep) : { dtype: dtype as LoadOptions["dtype"] };
    const start = performance.now();
    model = await AutoModelForCausalLM.from_pretrained(dir, { ...kept, threads, ...others });
    const seconds = (performance.now() - start) / 1000;
    const versions = { node: process.version, v8: process.versions.v8 };
    return { seconds, versions, instructions: await kernels() };
  },

  async prefill(ids, repeat, wantLogits) {
    const { seconds, result } = await timed(repeat, async () => {
      const start = performance.now();
      const { logits, past_key_values } = await loaded().forward({
        input_ids: [ids],
        use_cache: true,
        logits_to_keep: 1,
      });
      const elapsed = (performance.now() - start) / 1000;
      await past_key_values?.dispose();
      return { seconds: elapsed, result: wantLogits ? Array.from(logits.data, Number) : undefined };
    });
    return { seconds, logits: result };
  },

  async generate(ids, count, repeat, full) {
    const { seconds, result } = await timed(repeat, async () => {
      const start = performance.now();
      const out = await loaded().generate({
        input_ids: [ids],
        do_sample: false,
        max_new_tokens: count,
        ...(full && { min_new_tokens: count }),
      });
      const elapsed = (performance.now() - start) / 1000;
      return { seconds: elapsed, result: Array.from(out.data, Number).slice(ids.length) };
    });
    return { seconds, ids: result };
  },

  async decodeRows(prompts, count, repeat) {
    const { seconds } = await timed(repeat, async () => {
      const start = performance.now();
      await loaded().generate({
        input_ids: prompts,
        do_sample: false,
        max_new_tokens: count,
        min_new_tokens: count,
      });
      return { seconds: (performance.now() - start) / 1000, result: undefined };
    });
    return { seconds };
  },
};

/** The kernels that were chosen when the model was loaded. */
async function kernels(): Promise<string> {
  const { chosen } = await chosenKernels(
    detectFeatures(env.wasm.revectorize),
    env.native === "auto",
  );
  const { used } = chosen.machine_code;
  const wasm = `WebAssembly with ${chosen.vector_bits} bits`;
  return used.length === 0 ? wasm : `machine code for ${used.join(", ")}; else ${wasm}`;
}

await serve(contestant);
