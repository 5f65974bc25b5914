// Which kernels the CPU backend chooses in this process: as a model that is loaded here gets them. Loads no model.

import { checkedKernels } from "../../backends/wasm/checked-kernels.ts";
import type { Features } from "../../backends/wasm/features.ts";
import {
  chooseNative,
  type NativeChoice,
  type NativeFindings,
  noNative,
  SWITCHED_OFF,
} from "../../backends/wasm/native-choice.ts";
import { choosesSums32 } from "../../backends/wasm/sums-probe.ts";
import { findingsOf } from "../../engine/backends.ts";

export type ChosenKernels = {
  /** Of WebAssembly: "relaxed-simd" or "simd". */
  kernels: "relaxed-simd" | "simd" | "none";
  /** Whether 8-bit dot products are summed in 16 or 32 bits, whichever a probe finds faster; null: no relaxed SIMD. */
  dot_sum_bits: 16 | 32 | null;
  /** Bits of a vector of WebAssembly. */
  vector_bits: 128 | 256;
  /** What machine code computes in place of WebAssembly, and what it does not compute, each with the reason; see `env.native`. */
  machine_code: { used: readonly string[]; not_used: readonly string[] };
};

/**
 * @param asked  the features that were asked for
 * @param native whether machine code may be used
 * @returns the choice, what it says of machine code alone, and the features with 256-bit vectors only if they passed their self-test
 */
export async function chosenKernels(
  asked: Features,
  native: boolean,
): Promise<{ chosen: ChosenKernels; machineCode: NativeChoice; features: Features }> {
  if (!asked.simd) {
    const reason = "the CPU backend needs SIMD";
    const machine_code = { used: [], not_used: [reason] };
    return {
      chosen: { kernels: "none", dot_sum_bits: null, vector_bits: 128, machine_code },
      machineCode: noNative(reason),
      features: asked,
    };
  }
  const checked = await checkedKernels(asked);
  const { features } = checked;
  const sums32 = choosesSums32(checked);
  const found = findingsOf("wasm") as NativeFindings | undefined;
  const machineCode = native ? await chooseNative(checked, sums32, found) : noNative(SWITCHED_OFF);
  return {
    machineCode,
    features,
    chosen: {
      kernels: features.relaxedSimd ? "relaxed-simd" : "simd",
      dot_sum_bits: features.relaxedSimd ? (sums32 ? 32 : 16) : null,
      vector_bits: features.wideVectors ? 256 : 128,
      machine_code: { used: machineCode.kernels, not_used: machineCode.reasons },
    },
  };
}
