// What the module exports: the executor, and each kernel by itself for the contract table.

export { add } from "./add";
export { copy_pages } from "./copy-pages";
export { cross_entropy } from "./cross-entropy";
export { eager_attention } from "./eager-attention";
export { embed } from "./embed";
export { close, prepare, run } from "./executor";
export { gather_rows } from "./gather-rows";
export { glu } from "./glu";
export { kv_append } from "./kv-append";
export { kv_append_codes } from "./kv-append-codes";
export { linear_bf16, linear_f16, linear_f32 } from "./linear";
export { linear_q4, linear_q4k, linear_q6k, linear_q8 } from "./linear-eight-rows";
export { linear_llm_int8 } from "./linear-int8";
export { linear_fixed16 } from "./linear-nf4";
export { linear_nf4_int8 } from "./linear-nf4-int8";
export { linear_packed } from "./linear-packed";
export { log_softmax } from "./log-softmax";
export { pack_rows_fixed16 } from "./pack-rows-fixed16";
export { pack_rows_int8_halves } from "./pack-rows-int8-halves";
export { pack_rows_llm_int8 } from "./pack-rows-llm-int8";
export { pack_rows_int8 } from "./pack-rows-int8";
export { paged_attention } from "./paged-attention";
export { probe_f32, probe_int8, probe_int8_products, probe_int8_wide, probe_read } from "./probe";
export { rms_norm } from "./rms-norm";
export { rope } from "./rope";
export { unpack } from "./unpack";
export { unpack_q4, unpack_q4k, unpack_q6k, unpack_q8 } from "./unpack-eight-rows";
