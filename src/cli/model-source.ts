// From a model's name on the command line to its files: the embedded model, a folder, a GGUF file, or a model of the hub, which is fetched
// only when somebody said so. Does not know what is done with it.

import { readdir, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { machine } from "#platform";
import { defaultModel } from "../api/default-model.ts";
import { planModel } from "../api/model-files.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { offlineVariable } from "../api/env.ts";
import { downloadModel } from "../index.ts";
import type { DownloadPlan } from "../index.ts";
import type { FlagValues } from "./arguments.ts";
import { canAsk, confirm } from "./ask.ts";
import { fetchShown } from "./download.ts";
import { programName } from "./program-name.ts";
import { bytes, fitted, styled, visible, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

export type ModelSource = {
  /** Absolute: a folder, or a GGUF file. */
  readonly path: string;
  /** The last part of the name, for people. */
  readonly name: string;
  /** A GGUF file in the folder. */
  readonly gguf_file?: string;
};

type Flags = Pick<FlagValues, "gguf-file" | "revision" | "yes" | "quiet" | "quantization">;

/**
 * The files of the model `name`, or of the embedded one.
 * @throws InputError the model would have to be fetched, and nobody can be asked; a folder with several GGUF files, of which none is named;
 *   a flag that only a named model can have
 * @throws DOMException "AbortError": somebody was asked, and did not say yes
 * @throws CheckpointError there is no such model; it cannot be fetched
 */
export async function modelSource(
  name: string | undefined,
  flags: Flags,
  io: Io,
): Promise<ModelSource> {
  if (name === undefined) {
    const idle = (["gguf-file", "revision"] as const).find((flag) => flags[flag] !== undefined);
    if (idle === undefined) return { path: await defaultModel(), name: "stories" };
    throw new InputError(
      `--${idle}: no model is named, and the embedded one has no ${idle === "revision" ? "revisions" : "GGUF file"}; name the model too`,
    );
  }
  const gguf_file = flags["gguf-file"];
  const given = gguf_file === undefined ? {} : { gguf_file };
  const kind = await stat(name).catch(() => undefined);
  if (kind !== undefined) {
    const path = resolve(name);
    const only =
      kind.isDirectory() && gguf_file === undefined ? await onlyGguf(path, io, flags) : {};
    return { path, name: basename(path), ...given, ...only };
  }
  const plan = await planModel("model", name, placeOptions(flags, io), allParts);
  if (plan === undefined) return { path: resolve(name), name: basename(name), ...given };
  if (plan.missingBytes > 0) {
    await agree(plan, flags, io);
    await fetchShown(
      plan.repo_id,
      (onProgress) => downloadModel(name, { ...placeOptions(flags, io), onProgress }),
      flags,
      io,
    );
  }
  return { path: plan.folder, name: basename(plan.repo_id), ...given };
}

export const allParts = ["config", "generation", "tokenizer", "weights"] as const;

/** Where a model of the hub is looked for. */
export function placeOptions(
  flags: Pick<FlagValues, "gguf-file" | "revision">,
  { interrupt }: Io,
): { gguf_file?: string; revision?: string; signal: AbortSignal } {
  return {
    ...(flags["gguf-file"] !== undefined && { gguf_file: flags["gguf-file"] }),
    ...(flags.revision !== undefined && { revision: flags.revision }),
    signal: interrupt,
  };
}

/** The GGUF file of a folder that holds nothing else of a model. */
async function onlyGguf(
  folder: string,
  { stderr }: Io,
  { quiet }: Flags,
): Promise<{ gguf_file?: string }> {
  const files = await readdir(folder);
  if (files.some((file) => /^(config|params)\.json$/.test(file))) return {};
  const gguf = files.filter((file) => /\.gguf$/i.test(file)).toSorted();
  if (gguf.length === 0) return {};
  if (gguf.length > 1) {
    throw new InputError(
      `${folder} holds ${gguf.length} GGUF files and no config.json; name one with --gguf-file: ${gguf.slice(0, 5).join(", ")}`,
    );
  }
  const note = `${basename(folder)} holds one GGUF file and no config.json: reading ${visible(gguf[0])}`;
  if (!quiet) await write(stderr, `${styled(stderr, "dim", fitted(stderr, note))}\n`);
  return { gguf_file: gguf[0] };
}

/** @throws InputError nobody can be asked. @throws DOMException the answer was not yes */
async function agree(plan: DownloadPlan, flags: Flags, io: Io): Promise<void> {
  const id = plan.repo_id;
  const size = bytes(plan.missingBytes);
  const offline = offlineVariable();
  if (offline !== undefined) {
    throw new CheckpointError(
      `${id} is not whole in the cache: ${size} are to be fetched, and ${offline} forbids connections; unset it, then fetch the rest with ${programName()} pull ${id}`,
    );
  }
  if (flags.yes) return;
  if (!canAsk(io)) {
    throw new InputError(
      `${id} is not ${isPartly(plan) ? "whole " : ""}in the cache: ${size} are to be fetched; fetch it with ${programName()} pull ${id}, or say --yes`,
    );
  }
  const facts = `${id} is not ${isPartly(plan) ? "whole " : ""}in the cache: ${size} to fetch.\n${memoryNote(plan, flags)}`;
  await confirm(facts, "Fetch it?", "nothing was fetched", io);
}

const isPartly = ({ bytes: all, missingBytes }: DownloadPlan): boolean => missingBytes < all;

/** Bits a weight, by method: what is kept of 16. Embeddings, norms and the head stay as they are, so a model takes more. */
const smaller: Readonly<Record<string, number>> = {
  q4: 4.5,
  nf4: 4.7,
  "nf4-dq": 4.4,
  fp4: 4.7,
  "fp4-dq": 4.4,
  int8: 8.3,
  q8: 8.5,
};

/** How much memory a model takes, and what makes it smaller. */
export function memoryNote(
  { files }: DownloadPlan,
  { quantization }: Pick<FlagValues, "quantization">,
): string {
  const weights = files
    .filter(({ file }) => /\.(safetensors|gguf)$/i.test(file))
    .reduce((sum, file) => sum + file.bytes, 0);
  const isGguf = files.some(({ file }) => /\.gguf$/i.test(file));
  const { available } = machine().memory;
  const here = `${available < weights ? "only " : ""}${bytes(available)} are free here`;
  const inBits = (method: string): string => `at least ${bytes((weights * smaller[method]) / 16)}`;
  if (isGguf) return `Memory: ${bytes(weights)} (${here}).`;
  if (quantization !== undefined) {
    return `Memory: ${inBits(quantization)} in ${quantization} (${here}).`;
  }
  return `Memory: ${bytes(weights)}, or ${inBits("q4")} with --quantization q4 (${here}).`;
}
