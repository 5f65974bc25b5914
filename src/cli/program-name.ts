// How the user can start this program again, for help and error messages. Bare `npx mistral` never stands there: where this package is
// not installed, it would fetch another package of that name. Knows no command.

import { basename } from "node:path";
import manifest from "../../package.json" with { type: "json" };

/** What to write before a command's name, such as "npx @mistral-ts/mistral". @param how of the running process by default */
export function programName({
  env,
  argv,
}: { env: NodeJS.ProcessEnv; argv: readonly string[] } = process): string {
  const { npm_lifecycle_event: script = "", npm_package_name: owner, npm_command } = env;
  if (owner === manifest.name && ["start", "mistral"].includes(script)) {
    return "npm run --silent mistral --";
  }
  const isLink = argv[1] !== undefined && basename(argv[1]) === "mistral";
  return isLink && npm_command === undefined ? "mistral" : `npx ${manifest.name}`;
}
