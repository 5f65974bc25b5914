// The library's messages in the words of the command: options become flags, and functions the command that called them.
// Does not know when a message comes.

import type { CommandName } from "./commands.ts";

/** Functions that commands call for the user, who never wrote their names. */
const called =
  /^(?:model|verifyCachedModel|removeCachedModel|scan_cache_dir|downloadModel|snapshot_download): /;

const options: readonly (readonly [inLibrary: RegExp, inCommand: string])[] = [
  [/, or force$/, ", or --force"],
  [/^quantization_config changes nothing/, "--quantization changes nothing"],
  [/for that compute_dtype:/, "for that --compute-dtype:"],
];

/** @param command undefined: none was chosen yet */
export function inCommandWords(message: string, command: CommandName | undefined): string {
  const begun = message.replace(called, command === undefined ? "" : `${command}: `);
  return options.reduce((text, [found, flag]) => text.replace(found, flag), begun);
}
