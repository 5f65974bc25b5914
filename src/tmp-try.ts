import { checkedKernels } from "./backends/wasm/checked-kernels.ts";
import { detectFeatures, enableRevectorize } from "./backends/wasm/features.ts";
import { choosesSums32 } from "./backends/wasm/sums-probe.ts";
import { tryNative } from "./backends/wasm/native-choice.ts";
import { nativeMemory } from "#platform";
const features = detectFeatures(process.argv[2] === "wide" && enableRevectorize());
const checked = await checkedKernels(features);
const sums = choosesSums32(checked);
await nativeMemory();
for (let i = 0; i < 3; i++) {
  const t = performance.now();
  console.log(await tryNative(checked, sums), performance.now() - t);
}
