// Mistral (Jiang et al. 2023, arXiv:2310.06825), recorded once for prefill, decode and training, on every backend.
// T rows of any sequences, H hidden, V vocabulary. Knows no cache, no backend and no batch: `attend` lets rows see each other.

import type { Shape, Tensor } from "../graph/graph.ts";
import { add } from "../ops/add.ts";
import { embed } from "../ops/embed.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { glu } from "../ops/glu.ts";
import { linear } from "../ops/linear.ts";
import { rmsNorm } from "../ops/rms-norm.ts";
import { rope } from "../ops/rope.ts";
import { activation } from "./activation.ts";
import type { Attend } from "./attend.ts";
import type { MistralConfig } from "./config.ts";

/** A weight by its name in the checkpoint; the shape is what the model expects. */
export type Weights = (name: string, ...shape: Shape) => Tensor;
/** Angles [T, D/2] of every row, and the rows [N] whose result is wanted. */
export type Rows = { cos: Tensor; sin: Tensor; want: Tensor };

export type Out = { hidden: Tensor[]; last: Tensor };

/** ids [T] → x [T, H] */
export const embedTokens = (ids: Tensor, c: MistralConfig, w: Weights): Tensor =>
  embed(ids, w("model.embed_tokens.weight", c.vocab_size, c.hidden_size), c.pad_token_id);

/** x [T, H], what enters layer `i` → what leaves it */
function layer(x: Tensor, c: MistralConfig, w: Weights, r: Rows, attend: Attend, i: number) {
  const { hidden_size: H, intermediate_size: F, head_dim: D } = c;
  const { num_attention_heads: Hq, num_key_value_heads: Hkv } = c;
  const at: Weights = (name, ...shape) => w(`model.layers.${i}.${name}.weight`, ...shape);

  const a = rmsNorm(x, at("input_layernorm", H), c.rms_norm_eps);
  const q = linear(a, at("self_attn.q_proj", Hq * D, H));
  const k = linear(a, at("self_attn.k_proj", Hkv * D, H));
  const v = linear(a, at("self_attn.v_proj", Hkv * D, H));
  const mixed = attend(rope(q, r.cos, r.sin, Hq), rope(k, r.cos, r.sin, Hkv), v, i);
  const seen = add(x, linear(mixed, at("self_attn.o_proj", H, Hq * D)));

  const m = rmsNorm(seen, at("post_attention_layernorm", H), c.rms_norm_eps);
  const [gate, up] = ["gate", "up"].map((name) => linear(m, at(`mlp.${name}_proj`, F, H)));
  return add(seen, linear(glu(gate, up, activation(c.hidden_act)), at("mlp.down_proj", H, F)));
}

/** x [T, H] → what enters each layer [T, H], and the last hidden state of the wanted rows [N, H] */
export function mistral(x: Tensor, c: MistralConfig, w: Weights, rows: Rows, attend: Attend): Out {
  const states = [x];
  for (let i = 0; i < c.num_hidden_layers; i++) {
    states.push(x.graph.region(`layers.${i}`, () => layer(states[i], c, w, rows, attend, i)));
  }
  const wanted = gatherRows(states[c.num_hidden_layers], rows.want);
  const last = rmsNorm(wanted, w("model.norm.weight", c.hidden_size), c.rms_norm_eps);
  return { hidden: states.slice(0, -1), last };
}

/** last [N, H] → logits [N, V] */
export function causalHead(last: Tensor, c: MistralConfig, w: Weights): Tensor {
  const name = c.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  return linear(last, w(name, c.vocab_size, c.hidden_size));
}
