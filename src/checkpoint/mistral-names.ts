// Names of tensors in Mistral AI's own layout, and those that Transformers gives them. Knows no files.

const OUTSIDE: ReadonlyMap<string, string> = new Map([
  ["tok_embeddings.weight", "model.embed_tokens.weight"],
  ["norm.weight", "model.norm.weight"],
  ["output.weight", "lm_head.weight"],
]);

/** Within a layer: "layers.0.attention.wq.weight" → "model.layers.0.self_attn.q_proj.weight". */
const IN_LAYER: ReadonlyMap<string, string> = new Map([
  ["attention_norm", "input_layernorm"],
  ["attention.wq", "self_attn.q_proj"],
  ["attention.wk", "self_attn.k_proj"],
  ["attention.wv", "self_attn.v_proj"],
  ["attention.wo", "self_attn.o_proj"],
  ["ffn_norm", "post_attention_layernorm"],
  ["feed_forward.w1", "mlp.gate_proj"],
  ["feed_forward.w2", "mlp.down_proj"],
  ["feed_forward.w3", "mlp.up_proj"],
]);

/** The name in Transformers; a tensor that a Mistral model does not have keeps its own, and is reported as unexpected. */
export function transformersName(name: string): string {
  const outside = OUTSIDE.get(name);
  if (outside !== undefined) return outside;
  const [, layer, part] = /^layers\.(0|[1-9]\d*)\.(.*)\.weight$/.exec(name) ?? [];
  const inLayer = part === undefined ? undefined : IN_LAYER.get(part);
  return inLayer === undefined ? name : `model.layers.${layer}.${inLayer}.weight`;
}
