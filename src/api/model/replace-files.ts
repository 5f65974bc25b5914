// Moves complete files into a folder in place of older ones: all of them, or none if the system refuses one. A process that is killed
// in between leaves the older files in a folder beside the new ones. Does not know what is in the files.

import { errorCode, joinPath, listFiles, makeFolder, removeFolder, renameFile } from "#platform";
import { CheckpointError } from "../../errors.ts";

/**
 * Moves every file of `from` into `dir`, and removes `from`.
 * @param from a folder inside `dir`, on the same disk
 * @param isObsolete whether a file of `dir` goes away although no new one has its name
 * @throws CheckpointError a file cannot be moved; then `dir` has the files that it had
 */
export async function replaceFiles(
  dir: string,
  from: string,
  isObsolete: (file: string) => boolean,
): Promise<void> {
  const fresh = await listFiles(from);
  const obsolete = (await listFiles(dir)).filter(
    (file) => fresh.includes(file) || isObsolete(file),
  );
  const kept = joinPath(from, "replaced");
  await makeFolder(kept);
  const done: Move[] = [];
  const move = async (file: string, source: string, target: string): Promise<void> => {
    const step = { from: joinPath(source, file), to: joinPath(target, file) };
    await renameFile(step.from, step.to);
    done.push(step);
  };
  try {
    for (const file of obsolete) await move(file, dir, kept);
    for (const file of fresh) await move(file, from, dir);
  } catch (cause) {
    await undo(done, kept);
    await removeFolder(from);
    throw new CheckpointError(
      `${dir}: a file in it cannot be replaced (${errorCode(cause) ?? String(cause)}); check that the folder and its files may be written`,
      { cause },
    );
  }
  await removeFolder(from);
}

type Move = { readonly from: string; readonly to: string };

/** @throws CheckpointError says where the older files are */
async function undo(moves: readonly Move[], kept: string): Promise<void> {
  try {
    for (const { from, to } of moves.toReversed()) await renameFile(to, from);
  } catch (cause) {
    throw new CheckpointError(
      `${kept}: has files that were to be replaced, and they cannot be moved back (${errorCode(cause) ?? String(cause)}); move them yourself`,
      { cause },
    );
  }
}
