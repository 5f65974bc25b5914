// A worker for tests: sends back what it was started with, what its platform is, and each message; dies of the message "die".

import { canShareMemory, nextTurn, parent } from "#platform";

const line = await parent();
line.post({
  data: line.data,
  shares: canShareMemory(),
  hasShared: "SharedArrayBuffer" in globalThis,
});
await nextTurn();
line.onMessage((message) => {
  if (message === "die") throw new Error("as it was told");
  line.post(message);
});
