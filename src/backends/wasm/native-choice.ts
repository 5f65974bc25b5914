// Chooses what machine code computes in this process in place of WebAssembly: the families of kernels that the processor has the
// instructions for, which give the same bits here, and which are clearly faster. Whatever goes wrong, WebAssembly computes as before, and
// the reason is kept for `doctor`. Asked again with the same vectors, it answers at once; other threads get the answer of the first.

import { machineCode, type MachineCode } from "#platform";
import { makeLibrary, type NativeLibrary } from "../native/library.ts";
import { openLibrary, type OpenLibrary } from "../native/open-library.ts";
import { nativeFamilies, type NativeFamily } from "./native-families.ts";
import { type Checked, NativeTrial } from "./native-trial.ts";

/** What was chosen, and why. It can be sent to other threads of this process. */
export type NativeChoice = {
  /** The path of the library; undefined: WebAssembly computes all. */
  readonly path: string | undefined;
  /** Bits of NATIVE in kernels/header.ts. */
  readonly families: number;
  /** What machine code computes, as in "8-bit products with AVX-512 VNNI". */
  readonly kernels: readonly string[];
  /** What it does not compute, and why. */
  readonly reasons: readonly string[];
};

/** A choice, and the vectors of WebAssembly for which it was made. */
export type NativeFindings = { readonly wide: boolean; readonly choice: NativeChoice };

/** What is tried: tests give their own. */
export type Trials = {
  readonly machine: () => Promise<MachineCode>;
  readonly families: readonly NativeFamily[];
  readonly trial: (
    checked: Checked,
    sums32: boolean,
    library: OpenLibrary,
  ) => Pick<NativeTrial, "givesSameBits" | "speedup">;
};

/** The reason where nothing was tried. */
export const SWITCHED_OFF = "it is switched off (env.native is false, or --no-native)";

/** How many times as fast as WebAssembly a family must be. */
const CLEARLY = 1.15;

const chosen = new Map<boolean, Promise<NativeChoice>>();

/**
 * What machine code computes beside these kernels.
 * @param known what another thread of this process has found out
 */
export function chooseNative(
  checked: Checked,
  sums32: boolean,
  known?: NativeFindings,
): Promise<NativeChoice> {
  const { wideVectors: wide } = checked.features;
  if (known !== undefined && !chosen.has(known.wide)) {
    chosen.set(known.wide, Promise.resolve(known.choice));
  }
  const choice = chosen.get(wide) ?? tryNative(checked, sums32);
  chosen.set(wide, choice);
  return choice;
}

/** WebAssembly computes all. */
export function noNative(...reasons: readonly string[]): NativeChoice {
  return { path: undefined, families: 0, kernels: [], reasons };
}

/** For chooseNative, and for its tests. Never fails. */
export async function tryNative(
  checked: Checked,
  sums32: boolean,
  {
    machine = machineCode,
    families = nativeFamilies,
    trial = (...of) => new NativeTrial(...of),
  }: Partial<Trials> = {},
): Promise<NativeChoice> {
  if (!checked.features.threads) {
    return noNative("memory cannot be shared here, and other memory may move");
  }
  try {
    const library = await makeLibrary(machine());
    const open = await openLibrary(library.path, machine());
    return await judge(library, families, trial(checked, sums32, open));
  } catch (error) {
    return noNative(error instanceof Error ? error.message : String(error));
  }
}

async function judge(
  { path, processor }: NativeLibrary,
  families: readonly NativeFamily[],
  trial: Pick<NativeTrial, "givesSameBits" | "speedup">,
): Promise<NativeChoice> {
  const used: NativeFamily[] = [];
  const kernels: string[] = [];
  const reasons: string[] = [];
  for (const family of families) {
    const instructions = family.instructions(processor);
    if (instructions === undefined) {
      reasons.push(`${family.name}: the processor, or the system, lacks ${family.needs}`);
      continue;
    }
    const name = `${family.name} with ${instructions}`;
    if (!(await trial.givesSameBits(family))) {
      reasons.push(
        `${name}: the self-test found other bits than WebAssembly's; please report this`,
      );
      continue;
    }
    const speedup = await trial.speedup(family);
    if (speedup < CLEARLY) {
      reasons.push(`${name}: ${speedup.toFixed(2)} × WebAssembly's speed in a probe, too little`);
      continue;
    }
    used.push(family);
    kernels.push(name);
  }
  if (used.length === 0) return noNative(...reasons);
  return { path, families: used.reduce((bits, { bit }) => bits | bit, 0), kernels, reasons };
}
