// Chooses what machine code computes in this process in place of WebAssembly: the families of kernels that the processor has the
// instructions for, which give the same bits here, and which are clearly faster. Whatever goes wrong, WebAssembly computes as before, and
// the reason is kept for `doctor`. Asked again with the same vectors, it answers at once; other threads get the answer of the first.

import { machineCode, type MachineCode } from "#platform";
import { keepKernels } from "../native/library.ts";
import { openLibrary, type OpenLibrary } from "../native/open-library.ts";
import { askProcessor, type Processor } from "../native/processor.ts";
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

/**
 * How many times as fast as WebAssembly a family must be. A probe stays in the processor's cache and tells less than a whole model gains: plain
 * products that are 1.12 times as fast in it read prompts 1.3 times as fast (bench/RESULTS.md, AVX-512 VNNI).
 */
const CLEARLY = 1.05;

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
  const { wideVectors: wide, relaxedSimd } = checked.features;
  if (!relaxedSimd)
    return Promise.resolve(
      noNative("WebAssembly here does not fuse multiply and add, so bits differ"),
    );
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
    const system = await machine();
    const processor = usable(askProcessor(system), system, families);
    const [possible, impossible] = sorted(families, processor);
    if (possible.length === 0) return noNative(...impossible);
    const path = keepKernels(system);
    const trialOf = trial(checked, sums32, await openLibrary(path, Promise.resolve(system)));
    const { used, reasons } = await judge(possible, trialOf);
    if (used.length === 0) return noNative(...impossible, ...reasons);
    return {
      path,
      families: used.reduce((bits, { family }) => bits | family.bit, 0),
      kernels: used.map(({ name }) => name),
      reasons: [...impossible, ...reasons],
    };
  } catch (error) {
    return noNative(textOf(error));
  }
}

/** The processor with AMX only if a family uses it and the system allows it. */
function usable(
  processor: Processor,
  system: MachineCode,
  families: readonly NativeFamily[],
): Processor {
  const amx = processor.amx && families.some(({ usesTiles }) => usesTiles) && system.allowTiles();
  return { ...processor, amx };
}

/** A family that the processor has instructions for, and its name with these. */
type Possible = { readonly family: NativeFamily; readonly name: string };

function sorted(
  families: readonly NativeFamily[],
  processor: Processor,
): [possible: Possible[], reasons: string[]] {
  const possible: Possible[] = [];
  const reasons: string[] = [];
  for (const family of families) {
    const instructions = family.instructions(processor);
    if (instructions !== undefined)
      possible.push({ family, name: `${family.name} with ${instructions}` });
    else reasons.push(`${family.name}: the processor, or the system, lacks ${family.needs}`);
  }
  return [possible, reasons];
}

async function judge(
  possible: readonly Possible[],
  trial: Pick<NativeTrial, "givesSameBits" | "speedup">,
): Promise<{ used: Possible[]; reasons: string[] }> {
  const used: Possible[] = [];
  const reasons: string[] = [];
  for (const one of possible) {
    const why = await reasonAgainst(one.family, trial);
    if (why === undefined) used.push(one);
    else reasons.push(`${one.name}: ${why}`);
  }
  return { used, reasons };
}

/** Why WebAssembly computes a family; undefined: machine code does. A family that fails does not keep others from being used. */
async function reasonAgainst(
  family: NativeFamily,
  trial: Pick<NativeTrial, "givesSameBits" | "speedup">,
): Promise<string | undefined> {
  try {
    if (!(await trial.givesSameBits(family)))
      return "the self-test found other bits than WebAssembly's; please report this";
    const speedup = await trial.speedup(family);
    if (speedup >= CLEARLY) return undefined;
    return `${speedup.toFixed(2)} × WebAssembly's speed in a probe, too little`;
  } catch (error) {
    return `the self-test failed (${textOf(error)}); please report this`;
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
