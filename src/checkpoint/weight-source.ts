// The weights of a folder, whichever method packed them: plain tensors as they are, quantised weights through the reader of their
// method. Knows no model: which weights it needs, and in which shapes, is checked elsewhere.

import { CheckpointError } from "../errors.ts";
import { shown } from "./json-reader.ts";
import { mistralLayoutWeights } from "./mistral-layout.ts";
import { plainWeight } from "./plain-weight.ts";
import { awqWeights } from "./quantized/awq.ts";
import { bitsandbytesWeights } from "./quantized/bitsandbytes.ts";
import { compressedTensorsWeights } from "./quantized/compressed-tensors.ts";
import { gptqWeights } from "./quantized/gptq.ts";
import { ownMethods, ownWeights } from "./quantized/own.ts";
import { findQuantizationSettings } from "./quantized/packed-settings.ts";
import type { QuantizedWeights } from "./quantized/quantized-weights.ts";
import type { StoredWeight, TableEntry, WeightSource } from "./stored-weight.ts";
import { type Checkpoint, type CheckpointOptions, openCheckpoint } from "./weights.ts";

type Reader = (
  checkpoint: Checkpoint,
  settings: Record<string, unknown>,
) => QuantizedWeights | Promise<QuantizedWeights>;

/** `quant_method` in config.json → the reader of that method. */
const readers: Readonly<Record<string, Reader>> = {
  gptq: gptqWeights,
  awq: awqWeights,
  bitsandbytes: bitsandbytesWeights,
  "compressed-tensors": compressedTensorsWeights,
  ...Object.fromEntries(ownMethods.map((method) => [method, ownWeights])),
};

/**
 * Opens the weights of a folder.
 * @param config the object in config.json; its `quantization_config` names the method
 * @throws CheckpointError
 */
export async function openWeights(
  dir: string,
  options: CheckpointOptions = {},
  config: Readonly<Record<string, unknown>> = {},
): Promise<WeightSource> {
  const checkpoint = await openCheckpoint(dir, options);
  try {
    refuseMlx(checkpoint);
    if (checkpoint.isMistralLayout) return mistralLayoutWeights(checkpoint, config);
    return await weightsOf(checkpoint, await findQuantizationSettings(checkpoint.dir, config));
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

async function weightsOf(
  checkpoint: Checkpoint,
  settings?: Record<string, unknown>,
): Promise<WeightSource> {
  const { weights, used } =
    settings === undefined
      ? { weights: new Map<string, StoredWeight>(), used: new Set<string>() }
      : await readerOf(checkpoint.dir, settings)(checkpoint, settings);
  const all = new Map(weights);
  const tensors = new Map<string, TableEntry>();
  for (const { name, encoding, shape } of weights.values())
    tensors.set(name, { name, dtype: encoding, shape, quantised: true });
  for (const [name, entry] of checkpoint.tensors) {
    if (used.has(name)) continue;
    tensors.set(name, entry);
    const weight = plainWeight(checkpoint, entry);
    if (weight === undefined) continue;
    // In a quantised checkpoint plain weights may be mapped, as the quantised ones are; an unquantised checkpoint is read.
    const file = { path: entry.file, parts: [{ offset: entry.offset, bytes: entry.bytes }] };
    all.set(name, settings === undefined ? weight : { ...weight, file });
  }
  return { dir: checkpoint.dir, weights: all, tensors, close: () => checkpoint.close() };
}

/** The reader of the method that the settings name. @throws CheckpointError it has none */
function readerOf(dir: string, settings: Record<string, unknown>): Reader {
  const named = settings.quant_method ?? impliedMethod(settings);
  const method = typeof named === "string" ? named.toLowerCase() : undefined;
  if (method !== undefined && Object.hasOwn(readers, method)) return readers[method];
  throw new CheckpointError(
    `${dir}: config.json says that the weights are quantised by ${JSON.stringify(named) ?? "an unnamed method"}; ` +
      `methods that are read: ${Object.keys(readers).join(", ")}; use another checkpoint of this model, or the unquantised one`,
  );
}

/** Settings that one method alone has: older files do not name theirs. */
const MARKS: readonly (readonly [setting: string, method: string])[] = [
  ["desc_act", "gptq"],
  ["w_bit", "awq"],
  ["config_groups", "compressed-tensors"],
];

function impliedMethod(settings: Readonly<Record<string, unknown>>): string | undefined {
  if (settings.load_in_4bit === true || settings.load_in_8bit === true) return "bitsandbytes";
  return MARKS.find(([setting]) => Object.hasOwn(settings, setting))?.[1];
}

/** Refuses weights that MLX has quantised: words of 32 bits, with scales and biases beside them. @throws CheckpointError */
function refuseMlx({ dir, tensors }: Checkpoint): void {
  for (const [name, { dtype }] of tensors) {
    const layer = name.slice(0, -".weight".length);
    if (dtype !== "U32" || !name.endsWith(".weight") || !tensors.has(`${layer}.biases`)) continue;
    throw new CheckpointError(
      `${dir}: ${shown(name)} is packed as MLX does it (Apple's library), which is not read; ` +
        "fetch the original checkpoint of this model, or a GGUF file of it",
    );
  }
}
