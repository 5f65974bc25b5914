// What the module exports: the executor, and each kernel by itself for the contract table.

export { add } from "./add";
export { add_bias } from "./add-bias";
export { are_finite } from "./are-finite";
export { bce } from "./bce";
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
export { linear_q4, linear_q4k, linear_q4r, linear_q6k, linear_q6r, linear_q8 } from "./linear-eight-rows";
export { linear_llm_int8 } from "./linear-int8";
export { linear_fixed16 } from "./linear-nf4";
export { linear_nf4_int8 } from "./linear-nf4-int8";
export { linear_packed } from "./linear-packed";
export { log_softmax } from "./log-softmax";
export { mse } from "./mse";
export { call_native, native_eight_rows } from "./native";
export { native_four_bit } from "./native-four-bit";
export { native_dense } from "./native-dense";
export { pack_rows_fixed16 } from "./pack-rows-fixed16";
export { pack_rows_int8_halves } from "./pack-rows-int8-halves";
export { pack_rows_llm_int8 } from "./pack-rows-llm-int8";
export { pack_rows_int8 } from "./pack-rows-int8";
export { paged_attention } from "./paged-attention";
export { pick_ids } from "./pick-ids";
export {
  probe_f32, probe_int8, probe_int8_12, probe_int8_12_products, probe_int8_24, probe_int8_24_products, probe_int8_products, probe_read,
} from "./probe";
export { put_tokens } from "./put-tokens";
export { quantize } from "./quantize";
export { rms_norm } from "./rms-norm";
export { rope } from "./rope";
export { sample } from "./sample";
export { transpose } from "./transpose";
export { unpack } from "./unpack";
export { unpack_q4, unpack_q4k, unpack_q4r, unpack_q6k, unpack_q6r, unpack_q8 } from "./unpack-eight-rows";
