// What crosses between the API's thread and the engine worker: plain data and typed arrays, never functions.
// B batch, S tokens given, H hidden, V vocabulary, L layers, T columns so far.

import type { Handover } from "../backends/backend.ts";
import type { CacheDType } from "../models/attend.ts";
import type { LoadingInfo } from "../models/config-weights.ts";
import type { ResolvedGeneration } from "../generate/generation-config.ts";
import type { Compute } from "./kept-formats.ts";

/** What the worker is started with. */
export type EngineStart = {
  /** See engine/control.ts; undefined where memory cannot be shared. */
  readonly control: SharedArrayBuffer | undefined;
  /** How many workers this engine had before. */
  readonly restarts: number;
  readonly model: ModelSource;
  readonly backend: BackendChoice;
};

export type ModelSource = {
  readonly dir: string;
  readonly subfolder?: string;
  readonly variant?: string;
  /** MistralConfig.to_dict() */
  readonly config: Record<string, unknown>;
  /** The path of a GGUF file, in place of safetensors in `dir`. */
  readonly ggufFile?: string;
  /** Name of a weight format, or "auto": as in the file. */
  readonly dtype: string;
  /** How plain weights are quantised while they are loaded. */
  readonly quantisation?: Quantisation;
  /** How products with quantised weights are computed; default float32. */
  readonly compute?: Compute;
  /** Read weights, also where they could be mapped. */
  readonly disableMmap?: boolean;
  /** How keys and values are kept; default f32. */
  readonly cacheDtype?: CacheDType;
  readonly attention: "flash" | "eager";
  /** Whether the language-model head is loaded. */
  readonly head: "causal" | "none";
};

/** Format names by the kind of weight; undefined: kept as it is. Modules named in `skip` are kept too. */
export type Quantisation = {
  readonly linear: string;
  readonly head?: string;
  readonly embedding?: string;
  readonly skip: readonly string[];
};

export type BackendChoice = {
  readonly name: "wasm" | "reference";
  readonly threads: number;
  readonly memoryLimit?: number;
  /** V8 was asked for 256-bit vectors. */
  readonly wideVectors?: boolean;
  /** Bytes of addresses that WebAssembly memories may reserve; what is not given: what the platform says. */
  readonly addressSpace?: { readonly perMemory?: number; readonly total?: number };
  /** What the backend of a worker that died handed over: `Handover.state`, with all weights. */
  readonly adopted?: unknown;
};

export type ForwardRequest = {
  readonly B: number;
  readonly S: number;
  /** [B · S] */
  readonly ids?: Int32Array;
  /** [B · S · H] */
  readonly embeds?: Float32Array;
  /** [B · (past + S)], 1 token, 0 padding */
  readonly mask?: Uint8Array;
  /** [B · S] */
  readonly positions?: Int32Array;
  /** A cache of earlier calls, and how many columns it has as far as the caller knows. */
  readonly cache?: number;
  readonly past?: number;
  readonly keepCache: boolean;
  /** Columns of S whose logits are wanted. */
  readonly keep: Int32Array;
  /** [B · S], −100 ignored; shifted inside */
  readonly labels?: Int32Array;
  readonly numItems?: number;
  readonly wants: { logits: boolean; last: boolean; hidden: boolean; attentions: boolean };
};

export type ForwardResult = {
  /** [B · keep · V] */
  readonly logits?: Float32Array;
  /** [B · S · H], after the final norm */
  readonly last?: Float32Array;
  /** (L + 1) × [B · S · H] */
  readonly hidden?: Float32Array[];
  /** L × [B · Hq · S · T] */
  readonly attentions?: Float32Array[];
  readonly loss?: number;
  readonly cache?: CacheState;
};

/** A cache as the API's thread knows it. */
export type CacheState = { readonly id: number; readonly length: number; readonly batch: number };

export type GenerateRequest = {
  readonly B: number;
  readonly S: number;
  readonly ids: Int32Array;
  readonly mask?: Uint8Array;
  /** A cache of earlier calls, and how many columns it has as far as the caller knows. */
  readonly cache?: number;
  readonly past?: number;
  readonly keepCache: boolean;
  readonly options: ResolvedGeneration;
  /** For stop strings. */
  readonly tokenBytes?: TokenBytesTable;
  /** Tokens are reported while they come. */
  readonly stream: boolean;
};

/** Token `id` adds the bytes from ends[id − 1] (0 for the first) to ends[id]. */
export type TokenBytesTable = { readonly ends: Int32Array; readonly bytes: Uint8Array };

export type GenerateResult = {
  /** [B · length], prompt included */
  readonly sequences: Int32Array;
  readonly length: number;
  /** Per step [B · V] */
  readonly scores?: Float32Array[];
  readonly logits?: Float32Array[];
  readonly cache?: CacheState;
};

/** The tokens that one or more steps brought: pairs of a row of the batch and its next token, in order. */
export type TokensReport = Int32Array;

export type CacheRequest =
  | { readonly op: "crop"; readonly cache: number; readonly length: number }
  | { readonly op: "select"; readonly cache: number; readonly rows: Int32Array }
  | { readonly op: "fork"; readonly cache: number }
  | { readonly op: "dispose"; readonly cache: number };

/** Bytes and pages in use. */
export type MemoryReport = {
  readonly weights: number;
  readonly states: number;
  readonly scratch: number;
  readonly pages: number;
  readonly pagesInUse: number;
};

/** Every request with its result. */
export type Calls = {
  forward: { request: ForwardRequest; result: ForwardResult };
  generate: { request: GenerateRequest; result: GenerateResult };
  cache: { request: CacheRequest; result: CacheState | undefined };
  memory: { request: Record<string, never>; result: MemoryReport };
};

export type CallName = keyof Calls;

/** What loading found. */
export type LoadReport = {
  readonly info: LoadingInfo;
  /** Tensors that hold NaN or Inf. */
  readonly nonFinite: readonly string[];
  /** How the weights are kept: torch's name of the format. */
  readonly dtype: string;
  /** Options that had no effect, and why. */
  readonly notes: readonly string[];
};

export type ToEngine =
  | {
      [N in CallName]: {
        readonly type: N;
        readonly id: number;
        readonly request: Calls[N]["request"];
        /** An abort may follow: its caches must be as before then. */
        readonly abortable?: boolean;
      };
    }[CallName]
  | { readonly type: "abort"; readonly id: number };

export type ErrorData = {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
};

export type FromEngine =
  | {
      readonly type: "progress";
      readonly loaded: number;
      readonly total: number;
      readonly tensor: string;
    }
  | { readonly type: "handover"; readonly handover: Handover }
  | ({ readonly type: "ready" } & LoadReport)
  | { readonly type: "broken"; readonly error: ErrorData }
  | { readonly type: "tokens"; readonly id: number; readonly tokens: TokensReport }
  | { readonly type: "done"; readonly id: number; readonly result: Calls[CallName]["result"] }
  | { readonly type: "failed"; readonly id: number; readonly error: ErrorData };
