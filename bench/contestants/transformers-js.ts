// transformers.js on onnxruntime-node, as a contestant: the other side of protocol.ts. Reads what export-onnx.py wrote.
// ONNX Runtime's CPU kernels have no bfloat16: the dtype is one of the library's own (fp32, q4).

import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type Contestant, serve, timed } from "./protocol.ts";

const FOLDER: URL = new URL("../.work/tjs/node_modules/", import.meta.url);

type Tensor = { readonly data: ArrayLike<number | bigint>; dispose(): void };
type Outputs = Record<string, Tensor> & { readonly logits: Tensor };
type Model = ((inputs: Record<string, Tensor>) => Promise<Outputs>) & {
  generate(options: Record<string, unknown>): Promise<Tensor>;
};
type Library = {
  readonly env: { localModelPath: string; allowRemoteModels: boolean };
  readonly AutoModelForCausalLM: {
    from_pretrained(name: string, options: Record<string, unknown>): Promise<Model>;
  };
  readonly Tensor: new (type: "int64", data: BigInt64Array, dims: number[]) => Tensor;
};

const entry = "@huggingface/transformers/dist/transformers.node.mjs";
const library = (await import(new URL(entry, FOLDER).href)) as Library;
let model: Model | undefined;

function loaded(): Model {
  if (model === undefined) throw new Error("nothing has been loaded");
  return model;
}

function row(values: readonly bigint[]): Tensor {
  return new library.Tensor("int64", BigInt64Array.from(values), [1, values.length]);
}

function inputsOf(ids: readonly number[]): Record<string, Tensor> {
  return { input_ids: row(ids.map(BigInt)), attention_mask: row(ids.map(() => 1n)) };
}

function versionOf(name: string): string {
  const text = readFileSync(new URL(`${name}/package.json`, FOLDER), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const contestant: Contestant = {
  async load({ dir, dtype, threads }) {
    const start = performance.now();
    library.env.localModelPath = `${dirname(dir)}/`;
    library.env.allowRemoteModels = false;
    model = await library.AutoModelForCausalLM.from_pretrained(basename(dir), {
      dtype,
      device: "cpu",
      session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
    });
    const versions = {
      "transformers.js": versionOf("@huggingface/transformers"),
      "onnxruntime-node": versionOf("onnxruntime-node"),
    };
    return { seconds: (performance.now() - start) / 1000, versions };
  },

  async prefill(ids, repeat, wantLogits) {
    const inputs = inputsOf(ids);
    const { seconds, result } = await timed(repeat, async () => {
      const start = performance.now();
      const outputs = await loaded()(inputs);
      const elapsed = (performance.now() - start) / 1000;
      const logits = wantLogits ? Array.from(outputs.logits.data, Number) : undefined;
      for (const tensor of Object.values(outputs)) tensor.dispose();
      return { seconds: elapsed, result: logits };
    });
    return { seconds, logits: result };
  },

  async generate(ids, count, repeat, full) {
    const { seconds, result } = await timed(repeat, async () => {
      const start = performance.now();
      const out = await loaded().generate({
        ...inputsOf(ids),
        do_sample: false,
        max_new_tokens: count,
        ...(full && { min_new_tokens: count }),
      });
      const elapsed = (performance.now() - start) / 1000;
      return { seconds: elapsed, result: Array.from(out.data, Number).slice(ids.length) };
    });
    return { seconds, ids: result };
  },
};

await serve(contestant);
