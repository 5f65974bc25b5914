// `mistral ls`, `rm` and `verify`: the models in the cache that this library and Python share, for people or as JSON.
// Does not know how the cache is laid out.

import { CheckpointError, InputError } from "../errors.ts";
import { offlineVariable } from "../api/env.ts";
import { removeCachedModel, scan_cache_dir, verifyCachedModel } from "../index.ts";
import type { Arguments } from "./arguments.ts";
import { canAsk, confirm } from "./ask.ts";
import { workProgress } from "./progress.ts";
import { programName } from "./program-name.ts";
import { bytes, fitted, styled, visible, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

type Cache = Awaited<ReturnType<typeof scan_cache_dir>>;

/** @returns the exit code */
export async function list({ flags }: Arguments, io: Io): Promise<number> {
  const cache = await scan_cache_dir();
  const text = flags.json ? `${JSON.stringify(cache)}\n` : fitted(io.stdout, listText(cache, io));
  await write(io.stdout, text);
  for (const warning of flags.quiet ? [] : cache.warnings) {
    await write(io.stderr, `${fitted(io.stderr, visible(warning))}\n`);
  }
  return 0;
}

function listText({ cache_dir, repos, size_on_disk }: Cache, { stdout }: Io): string {
  if (repos.length === 0) {
    return `No models in ${visible(cache_dir)}; fetch one with: ${programName()} pull\n`;
  }
  const rows = repos.map((repo) => {
    const revisions = repo.revisions.map(
      ({ refs, commit_hash }) => refs.at(0) ?? commit_hash.slice(0, 8),
    );
    const rest = repo.incomplete_size > 0 ? `, ${bytes(repo.incomplete_size)} unfinished` : "";
    const day = new Date(repo.last_modified * 1000).toISOString().slice(0, 10);
    const when = repo.last_modified > 0 ? day : "—";
    return [repo.repo_id, bytes(repo.size_on_disk) + rest, when, revisions.join(", ")].map(visible);
  });
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i].length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const sum = `${bytes(size_on_disk)} in ${visible(cache_dir)}`;
  return [...lines, styled(stdout, "dim", sum), ""].join("\n");
}

/** @returns the exit code */
export async function remove({ flags, words }: Arguments, io: Io): Promise<number> {
  if (words.length === 0) {
    throw new InputError(
      `rm: the model is missing; name one of those that ${programName()} ls shows`,
    );
  }
  const { repos } = await scan_cache_dir();
  const found = words.map((id) => repos.find(({ repo_id }) => repo_id === id));
  const missing = words.find((_id, i) => found[i] === undefined);
  if (missing !== undefined) {
    const has = repos.map(({ repo_id }) => repo_id).join(", ");
    throw new InputError(
      `rm: ${missing} is not in the cache, which holds ${has === "" ? "no models" : has}`,
    );
  }
  const size = found.reduce((sum, repo) => sum + (repo?.size_on_disk ?? 0), 0);
  if (!flags.yes) {
    if (!canAsk(io)) {
      throw new InputError(`rm: ${words.join(", ")} (${bytes(size)}): say --yes to remove it`);
    }
    const facts = `${words.map(visible).join(", ")}: ${bytes(size)}`;
    await confirm(facts, "Remove it from the cache?", "nothing was removed", io);
  }
  for (const id of words) {
    const freed = await removeCachedModel(id);
    await write(io.stdout, `${fitted(io.stdout, `removed ${visible(id)}: ${bytes(freed)}`)}\n`);
  }
  return 0;
}

/** @returns the exit code. @throws CheckpointError a file is damaged, or an interrupted download lacks some */
export async function verify({ flags, words: [id] }: Arguments, io: Io): Promise<number> {
  if (id === undefined) {
    throw new InputError(
      `verify: the model is missing; name one of those that ${programName()} ls shows`,
    );
  }
  const bar = flags.quiet ? undefined : workProgress(io.stderr, "verifying", id, "byte");
  const results = await verifyCachedModel(id, {
    signal: io.interrupt,
    onProgress: ({ file, loaded, total }) => bar?.update({ loaded, total }, file),
  }).finally(() => bar?.done());
  if (flags.json) await write(io.stdout, `${JSON.stringify(results)}\n`);
  const damaged = results.filter(({ status }) => status === "damaged");
  if (damaged.length > 0) {
    const names = [...new Set(damaged.map(({ file_name }) => file_name))].join(", ");
    throw new CheckpointError(
      `verify: ${id}: damaged: ${names}; fetch it again with ${programName()} pull ${id} --force`,
    );
  }
  const missing = results.filter(({ status }) => status === "missing");
  if (missing.length > 0) {
    const came = missing.reduce((sum, { size_on_disk }) => sum + size_on_disk, 0);
    const whole = missing.reduce((sum, { expected_size }) => sum + (expected_size ?? 0), 0);
    const offline = offlineVariable();
    const first = offline === undefined ? "" : `unset ${offline}, then `;
    throw new CheckpointError(
      `verify: ${id}: unfinished: ${missing.length} of ${results.length} files are missing (${bytes(came)} of ${bytes(whole)} came); ` +
        `${first}go on with ${programName()} pull ${id}`,
    );
  }
  const unknown = results.filter(({ status }) => status === "unknown").length;
  const sum = bytes(results.reduce((all, { size_on_disk }) => all + size_on_disk, 0));
  const rest = unknown > 0 ? `; no hash is known of ${unknown}` : "";
  const text = `${visible(id)}: ${results.length} files, ${sum}, as the hub has them${rest}`;
  if (!flags.json) await write(io.stdout, `${fitted(io.stdout, text)}\n`);
  return 0;
}
