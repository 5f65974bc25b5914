// What crosses between the API's thread and the engine worker: plain data and typed arrays, never functions.
// B batch, S tokens given, H hidden, V vocabulary, K logits of a row, L layers, T columns so far.

import type { Handover } from "../backends/backend.ts";
import type { CacheDType } from "../models/attend.ts";
import type { LoadingInfo } from "../models/config-weights.ts";
import type { ProblemType } from "../models/config.ts";
import type { ModelClass } from "../models/heads.ts";
import type { Labels } from "../models/losses.ts";
import type { ResolvedGeneration } from "../generate/resolve-generation.ts";
import type { StopReason } from "../generate/stopping.ts";
import type { Compute, Quantisation } from "./kept-formats.ts";

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
  /** The folder of the checkpoint; "" for a new model. */
  readonly dir: string;
  /** All weights are drawn, none are read. */
  readonly isNew?: boolean;
  /** Decides the numbers of weights that are drawn: of a new model, or of a head that the checkpoint lacks. Default 0. */
  readonly seed?: number;
  /** Draw weights whose shapes differ from those that the config asks for. */
  readonly ignoreMismatchedSizes?: boolean;
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
  /** Read all weights, also those whose files could be mapped into memory. */
  readonly disableMmap?: boolean;
  /** How keys and values are kept; default f32. */
  readonly cacheDtype?: CacheDType;
  readonly attention: "flash" | "eager";
  /** Which head stands on the decoder. */
  readonly modelClass: ModelClass;
};

export type BackendChoice = {
  readonly name: "wasm" | "reference";
  readonly threads: number;
  readonly memoryLimit?: number;
  /** The caller has told V8 to compute with 256-bit vectors. */
  readonly wideVectors?: boolean;
  /** Whether machine code may compute what it is good at. Default: true. */
  readonly native?: boolean;
  /** Bytes of address space that WebAssembly memories may reserve, each and all together. Default: the platform's maxima. */
  readonly addressSpace?: { readonly perMemory?: number; readonly total?: number };
  /** What the backend of a worker that died handed over: `Handover.state`, with all weights. */
  readonly adopted?: unknown;
  /** What an earlier backend of this process found out about it: `Handover.findings`. */
  readonly findings?: unknown;
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
  /** The cache of an earlier call, by its number. */
  readonly cache?: number;
  /** How many columns the cache had when the call was made: it is refused if another call has changed the cache since. */
  readonly past?: number;
  readonly keepCache: boolean;
  /** Columns of S whose logits are wanted. A sequence classifier takes one column of each row by itself. */
  readonly keep: Int32Array;
  /** Their shape and meaning depend on the model class: see lossOf in models/losses.ts. */
  readonly labels?: Labels;
  /** Of a sequence classifier: the padding token, and how labels are read. Default: the loaded config's. */
  readonly padTokenId?: number | null;
  readonly problemType?: ProblemType;
  /** The sum of cross-entropies is divided by this. Default: the number of labels. */
  readonly numItems?: number;
  readonly wants: { logits: boolean; last: boolean; hidden: boolean; attentions: boolean };
};

export type ForwardResult = {
  /** [B · keep · K]; of a sequence classifier [B · K] */
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
  /** The cache of an earlier call, and how many columns it had when the call was made: see ForwardRequest. */
  readonly cache?: number;
  readonly past?: number;
  readonly keepCache: boolean;
  readonly options: ResolvedGeneration;
  /** For stop strings. */
  readonly tokenBytes?: TokenBytesTable;
  /** The engine reports tokens as they come, and pauses a sequence whose reader falls behind. */
  readonly stream: boolean;
  /** The engine reports how many tokens of the prompts are computed. */
  readonly progress?: boolean;
  /** Reports carry the log-probability of each token, computed from the logits before any processor. */
  readonly logprobs?: boolean;
  /** Calls of different domains never share pages of the cache. */
  readonly domain?: string;
};

/** The bytes of token `id` are bytes[ends[id − 1]] … bytes[ends[id] − 1]; those of token 0 begin at 0. */
export type TokenBytesTable = { readonly ends: Int32Array; readonly bytes: Uint8Array };

export type GenerateResult = {
  /** [B · length], prompt included */
  readonly sequences: Int32Array;
  readonly length: number;
  /** [B] why each row has ended */
  readonly reasons: readonly StopReason[];
  /** [B] tokens of each prompt that were not computed, since other calls had left their keys and values in the cache */
  readonly cachedTokens: Int32Array;
  /** Per step [B · V] */
  readonly scores?: Float32Array[];
  readonly logits?: Float32Array[];
  readonly cache?: CacheState;
};

/** n new tokens, of one or more steps, in order. */
export type TokensReport = {
  /** [n] the row of the result that each token belongs to */
  readonly rows: Int32Array;
  /** [n] */
  readonly tokens: Int32Array;
  /** [n] log-probabilities (natural logarithms), when asked for */
  readonly logprobs?: Float32Array;
  /** How many tokens of all prompts have their keys and values now; when asked for, and only if more than before */
  readonly prompt?: number;
  /** Rows whose last token is among them, and why they have ended. */
  readonly ends: readonly { readonly row: number; readonly reason: StopReason }[];
};

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
  weight: { request: WeightRequest; result: WeightResult };
};

export type CallName = keyof Calls;

/** A weight of the model, as the backend keeps it. */
export type KeptWeight = {
  /** Its name in checkpoints of MistralForCausalLM, such as "model.layers.0.mlp.up_proj.weight". */
  readonly name: string;
  readonly shape: readonly number[];
  /** Its format's name, and the compute path behind a colon. */
  readonly dtype: string;
};

export type WeightRequest = { readonly name: string };
/** The bytes of each part of its format. */
export type WeightResult = { readonly parts: readonly Uint8Array<ArrayBuffer>[] };

/** What loading found. */
export type LoadReport = {
  readonly info: LoadingInfo;
  /** Weights that were drawn, because the checkpoint lacks them or has them in another shape. */
  readonly drawn: readonly string[];
  /** Tensors that hold NaN or Inf. */
  readonly nonFinite: readonly string[];
  /** How the weights are kept: torch's name of the format. */
  readonly dtype: string;
  /** All weights, in the order of the model's layers. */
  readonly weights: readonly KeptWeight[];
  /** Options that had no effect, and why. */
  readonly notes: readonly string[];
};

export type ToEngine =
  | {
      [N in CallName]: {
        readonly type: N;
        readonly id: number;
        readonly request: Calls[N]["request"];
        /** An abort may follow: the cache that the call was given must then be as before. */
        readonly abortable?: boolean;
      };
    }[CallName]
  | { readonly type: "abort"; readonly id: number }
  /** The reader of a call's tokens has taken `count` more. */
  | { readonly type: "taken"; readonly id: number; readonly count: number };

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
  | { readonly type: "tokens"; readonly id: number; readonly report: TokensReport }
  | { readonly type: "done"; readonly id: number; readonly result: Calls[CallName]["result"] }
  | { readonly type: "failed"; readonly id: number; readonly error: ErrorData };
