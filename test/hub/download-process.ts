// A process of its own that downloads a repository: hub, cache and the rest come from its environment. Prints the folder, or the error.

import { snapshot_download } from "../../src/index.ts";

try {
  console.log(await snapshot_download(process.argv[2] ?? "", { token: false }));
} catch (error) {
  console.error(error instanceof Error ? `${error.name}: ${error.message}` : error);
  process.exitCode = 1;
}
