// Names of devices as PyTorch and Transformers give them, and what computes here for each of them. Knows no backend.

import { checkOptions, unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { withoutTorch } from "./tensor/torch.ts";

/**
 * A device: "auto", "cpu", or a GPU by any of its names. "cuda", "cuda:0", "mps" and "webgpu" mean the GPU if there is one that
 * can be used, else the CPU, with one warning. "reference" is plain loops in float64 on the CPU: slow and exact.
 */
export type Device = "auto" | "cpu" | "cuda" | `cuda:${number}` | "mps" | "webgpu" | "reference";

/** Where the layers of a model go: one device for all of them. In an object the key "" stands for the whole model. */
export type DeviceMap =
  | Device
  | number
  | "balanced"
  | "balanced_low_0"
  | "sequential"
  | { readonly [module: string]: Device | number };

const CPU = ["auto", "cpu", "balanced", "balanced_low_0", "sequential"];
const GPU = ["cuda", "mps", "webgpu"];
const NAMES = ["auto", "cpu", ...GPU, "reference"];

/** Whether the user has been told that the CPU computes in place of a GPU; once is enough. */
let warned = false;

/** What computes for a device or a device map. @throws InputError an unknown device, or several that differ */
export function backendOf(where: string, device: unknown): "wasm" | "reference" {
  if (typeof device === "object" && device !== null) {
    const backends = new Set(Object.values(device).map((each) => backendOf(where, each)));
    if (backends.size === 1) return [...backends][0];
    throw new InputError(
      `${where}: device_map is ${JSON.stringify(device)}; expected one device for the whole model, such as { "": "cpu" }`,
    );
  }
  checkDevice(where, device);
  if (device === "reference") return "reference";
  if (typeof device === "number" || GPU.includes(withoutIndex(device))) warnOfGpu(device);
  return "wasm";
}

function checkDevice(where: string, device: unknown): asserts device is Device | number {
  if (isDevice(device)) return;
  throw new InputError(
    `${where}: ${unknownName("device", device, NAMES)} (known: ${NAMES.join(", ")})`,
  );
}

/** Whether this is the name (or PyTorch's number) of a device. */
function isDevice(device: unknown): boolean {
  if (typeof device === "number") return Number.isInteger(device) && device >= 0;
  if (typeof device !== "string") return false;
  return [...CPU, ...GPU, "reference"].includes(withoutIndex(device));
}

const withoutIndex = (device: string): string => device.replace(/^(cuda|cpu|mps):\d+$/, "$1");

function warnOfGpu(device: string | number): void {
  if (!warned) {
    console.warn(
      `${JSON.stringify(device)}: this version computes on no GPU; the CPU takes its place. Say "cpu" or "auto" to leave this out`,
    );
  }
  warned = true;
}

/** What `.to(…)` takes: a device, a dtype, or both in an object. */
export type Target<DType extends string> =
  | Device
  | number
  | DType
  | { readonly device?: Device | number; readonly dtype?: DType };

const TARGET_KEYS: ReadonlySet<string> = new Set(["device", "dtype"]);

/**
 * Reads the arguments of a method `to`. `dtype` has lost its "torch.".
 * @throws InputError what is neither a known device nor one of `dtypes`; an unknown name in an object
 */
export function readTarget(
  where: string,
  target: unknown,
  second: unknown,
  dtypes: readonly string[],
): { device?: Device | number; dtype?: string } {
  const isObject = typeof target === "object" && target !== null && !Array.isArray(target);
  if (isObject) checkOptions(where, target, TARGET_KEYS);
  const given = isObject
    ? target
    : isDevice(target)
      ? { device: target, dtype: second }
      : { dtype: target };
  const { device, dtype } = given as { device?: unknown; dtype?: unknown };
  if (device !== undefined) checkDevice(where, device);
  if (dtype === undefined && (device !== undefined || isObject)) return { device };
  const name = withoutTorch(dtype);
  if (typeof name === "string" && dtypes.includes(name)) return { device, dtype: name };
  const kind = device === undefined ? "device or dtype" : "dtype";
  const known = device === undefined ? [...NAMES, ...dtypes] : dtypes;
  throw new InputError(`${where}: ${unknownName(kind, dtype, known)} (known: ${known.join(", ")})`);
}
