// A leader in a worker, so that a test's thread stays free to stop it or to end its helpers: runs a long chain over and over
// and says how each run ended.

import { parent } from "#platform";
import { WasmBackend } from "../../src/backends/wasm/backend.ts";
import { chain, loadSeeded } from "./team.ts";

const { data, post } = await parent();
const { threads, T, H, layers, runs } = data as Record<string, number>;
const { plan, leaves } = chain(T, H, layers);
const backend = await WasmBackend.create({ threads });
await backend.place(leaves);
await loadSeeded(backend, leaves);
const program = backend.compile(plan);
post({ adopted: backend.adopted(), helpers: backend.helpers() });
while (backend.ready < threads) await new Promise((resolve) => setTimeout(resolve, 5));
const ids = new Int32Array(T).fill(3);
for (let run = 0; run < runs; run++) {
  post({ begun: run });
  try {
    const [result] = await program.submit({ ids }, { rows: T, wanted: 0 }, [0]);
    post({ run, sum: result.reduce((sum, x) => sum + x, 0) });
  } catch (error) {
    post({ run, error: (error as Error).name, message: (error as Error).message });
  }
}
