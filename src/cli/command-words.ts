// The library's messages as the command tells them: the name of a function becomes that of the command that called it.
// Does not know when a message comes.

import type { CommandName } from "./commands.ts";

/** Functions that commands call for the user, who never wrote their names. */
const called =
  /^(?:model|verifyCachedModel|removeCachedModel|scan_cache_dir|downloadModel|snapshot_download): /;

/** @param command undefined: none was chosen yet */
export function inCommandWords(message: string, command: CommandName | undefined): string {
  return message.replace(called, command === undefined ? "" : `${command}: `);
}
