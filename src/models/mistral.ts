// Mistral (Jiang et al. 2023, arXiv:2310.06825), recorded once for prefill, decode and training, on every backend.
// T rows of any sequences, H hidden, V vocabulary. Knows no cache, no backend and no batch: `attend` lets rows see each other.

import type { Tensor } from "../graph/graph.ts";
import { add } from "../ops/add.ts";
import { embed } from "../ops/embed.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { glu } from "../ops/glu.ts";
import { rmsNorm } from "../ops/rms-norm.ts";
import { rope } from "../ops/rope.ts";
import { activation } from "./activation.ts";
import type { Attend } from "./attend.ts";
import type { MistralConfig } from "./config.ts";
import { type Weights, weightsOf } from "./weights.ts";

/** cos and sin [T, D/2] of each row's angles, and the rows [N] whose results are wanted. */
export type Rows = { cos: Tensor; sin: Tensor; want: Tensor };

export type Out = { hidden: Tensor[]; last: Tensor };

/** ids [T] → x [T, H] */
export const embedTokens = (ids: Tensor, c: MistralConfig, { weight }: Weights): Tensor =>
  embed(ids, weight("model.embed_tokens.weight", c.vocab_size, c.hidden_size), c.pad_token_id);

/** Layer `i`: x [T, H] → [T, H] */
function layer(x: Tensor, c: MistralConfig, w: Weights, rows: Rows, attend: Attend, i: number) {
  const { hidden_size: H, intermediate_size: F, head_dim: D } = c;
  const { num_attention_heads: Hq, num_key_value_heads: Hkv, rms_norm_eps: eps } = c;
  const { weight, project } = weightsOf(`model.layers.${i}`, w);
  const turn = (t: Tensor, heads: number) => rope(t, rows.cos, rows.sin, heads);

  const a = rmsNorm(x, weight("input_layernorm.weight", H), eps);
  const q = project(a, "self_attn.q_proj", Hq * D, H);
  const k = project(a, "self_attn.k_proj", Hkv * D, H);
  const v = project(a, "self_attn.v_proj", Hkv * D, H);
  const mixed = attend(turn(q, Hq), turn(k, Hkv), v, i);
  const seen = add(x, project(mixed, "self_attn.o_proj", H, Hq * D));

  const m = rmsNorm(seen, weight("post_attention_layernorm.weight", H), eps);
  const gate = project(m, "mlp.gate_proj", F, H);
  const up = project(m, "mlp.up_proj", F, H);
  return add(seen, project(glu(gate, up, activation(c.hidden_act)), "mlp.down_proj", H, F));
}

/** x [T, H] → the input [T, H] of each layer, and the last hidden state of the wanted rows [N, H] */
export function mistral(x: Tensor, c: MistralConfig, w: Weights, rows: Rows, attend: Attend): Out {
  const states = [x];
  for (let i = 0; i < c.num_hidden_layers; i++) {
    states.push(x.graph.region(`layers.${i}`, () => layer(states[i], c, w, rows, attend, i)));
  }
  const wanted = gatherRows(states[c.num_hidden_layers], rows.want);
  const last = rmsNorm(wanted, w.weight("model.norm.weight", c.hidden_size), c.rms_norm_eps);
  return { hidden: states.slice(0, -1), last };
}
