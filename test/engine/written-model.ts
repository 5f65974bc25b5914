// Model folders that tests write: any shape, seeded weights, in a folder that is gone after the test file.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveSafetensors } from "../../src/checkpoint/save-safetensors.ts";
import { formats } from "../../src/formats/format.ts";
import { expectedWeights } from "../../src/models/config-weights.ts";
import type { ModelClass } from "../../src/models/heads.ts";
import { MistralConfig, type MistralConfigOptions } from "../../src/models/config.ts";
import { seeded } from "../random.ts";

/** Small, with a window; what tests change is given to `writeModel`. */
const shape: MistralConfigOptions = {
  ...{ vocab_size: 64, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, sliding_window: null },
  ...{ max_position_embeddings: 8192, rms_norm_eps: 1e-5 },
};

/** The shape of a model that takes seconds for a prompt of some thousand tokens on a few cores. */
export const slowShape: MistralConfigOptions = {
  ...{ hidden_size: 512, intermediate_size: 2048, num_hidden_layers: 4 },
  ...{ num_attention_heads: 8, num_key_value_heads: 8 },
};

/** An empty folder, and what removes it. */
export function temporaryFolder(): { dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), "mistral-test-"));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * Writes config.json and model.safetensors.
 * @param change may change a tensor's numbers before they are written
 */
export async function writeModel(
  dir: string,
  options: MistralConfigOptions = {},
  {
    kind = "MistralForCausalLM",
    dtype = "f32",
    change = () => {},
  }: {
    kind?: ModelClass;
    dtype?: "f32" | "bf16" | "f16";
    change?: (name: string, numbers: Float32Array) => void;
  } = {},
): Promise<void> {
  const config = new MistralConfig({ ...shape, ...options, architectures: [kind] });
  const format = formats.get(dtype);
  if (format === undefined) throw new Error(`no format ${dtype}`);
  const random = seeded(7);
  const table = Float32Array.from({ length: 4096 }, () => random.uniform(-1, 1));
  const tensors = [...expectedWeights(config, kind)].map(([name, dims], n) => ({
    name,
    dtype: format.safetensors,
    shape: dims,
    data: () => {
      const count = dims.reduce((a, b) => a * b, 1);
      const scale = dims.length === 1 ? 0 : 1.7 / Math.sqrt(dims[1]);
      // Two tables of different length: numbers of a large tensor do not repeat.
      const numbers = Float32Array.from({ length: count }, (_, i) =>
        dims.length === 1 ? 1 : scale * table[(i * 31 + n * 977 + (i % 4093)) % 4096],
      );
      change(name, numbers);
      const bytes = new Uint8Array(format.bytes(count));
      format.pack(numbers, bytes);
      return [bytes];
    },
  }));
  writeFileSync(join(dir, "config.json"), config.to_json_string());
  await saveSafetensors(join(dir, "model.safetensors"), tensors);
}
