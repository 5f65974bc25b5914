import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { type DType, Graph, type LeafKind, type Live, type Shape } from "../../src/graph/graph.ts";
import { add } from "../../src/ops/add.ts";
import { addBias } from "../../src/ops/add-bias.ts";
import { attention } from "../../src/ops/attention.ts";
import { bce } from "../../src/ops/bce.ts";
import { copyPages } from "../../src/ops/copy-pages.ts";
import { crossEntropy } from "../../src/ops/cross-entropy.ts";
import { eagerAttention } from "../../src/ops/eager-attention.ts";
import { embed } from "../../src/ops/embed.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { glu } from "../../src/ops/glu.ts";
import { kvAppend } from "../../src/ops/kv-append.ts";
import { linear } from "../../src/ops/linear.ts";
import { logSoftmax } from "../../src/ops/log-softmax.ts";
import { mse } from "../../src/ops/mse.ts";
import { pagedAttention } from "../../src/ops/paged-attention.ts";
import { pickIds } from "../../src/ops/pick-ids.ts";
import { putTokens } from "../../src/ops/put-tokens.ts";
import { rmsNorm } from "../../src/ops/rms-norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { sample } from "../../src/ops/sample.ts";
import { transpose } from "../../src/ops/transpose.ts";

const graph = new Graph();
const tensor = (name: string, shape: Shape, kind: LeafKind, dtype: DType, live?: Live) =>
  graph.leaf(`${name}${live === undefined ? "" : ` of ${live}`}`, kind, shape, dtype, live);
const float = (name: string, ...shape: Shape) => tensor(name, shape, "input", "f32");
const index = (name: string, ...shape: Shape) => tensor(name, shape, "input", "i32");
const pool = (name: string, ...shape: Shape) => tensor(name, shape, "state", "f32");

const heads = { heads: 4, kvHeads: 2, window: 0, scale: 1 };
const cache = (pools: Shape, at: Shape = [3], pages: Shape = [1, 2, 2]) => {
  const name = [...pools, "at", ...at, "in", ...pages].join(" ");
  return {
    ...{ K: pool(`K ${name}`, ...pools), V: pool(`V ${name}`, ...pools) },
    ...{ seq: index(`seq ${name}`, ...at), at: index(`at ${name}`, ...at) },
    pages: index(`pages ${name}`, ...pages),
  };
};
const paged = (q: Shape, ...place: Parameters<typeof cache>) =>
  pagedAttention(float(`q ${q.join(" ")}`, ...q), cache(...place), heads);

const refused: [call: () => unknown, message: string][] = [
  [() => add(float("a", 2, 3), float("b", 3, 2)), "add: a [2, 3] · b [3, 2]: the shapes differ"],
  [
    () =>
      add(
        tensor("a", [4, 3], "input", "f32", "rows"),
        tensor("b", [4, 3], "input", "f32", "wanted"),
      ),
    "add: a of rows [4, 3] · b of wanted [4, 3]: live rows differ (rows ≠ wanted)",
  ],
  [
    () => glu(float("gate", 2, 3), float("up", 2, 4), "silu"),
    "glu: gate [2, 3] · up [2, 4]: the shapes differ",
  ],
  [
    () =>
      linear(
        float("x", 7, 4096),
        tensor("model.layers.0.self_attn.q_proj.weight", [4096, 5120], "weight", "bf16"),
      ),
    "linear: x [7, 4096] · model.layers.0.self_attn.q_proj.weight [4096, 5120]: last dimensions differ (4096 ≠ 5120); " +
      "is head_dim or hidden_size in config.json right?",
  ],
  [
    () => rmsNorm(float("x", 7, 4096), float("norm", 5120), 1e-5),
    "rms_norm: x [7, 4096] · norm [5120]: last dimensions differ (4096 ≠ 5120); is hidden_size right?",
  ],
  [
    () => logSoftmax(float("flat", 5)),
    "log_softmax: flat [5]: the output would be [5, undefined]; have the inputs the right number of dimensions?",
  ],
  [
    () => embed(index("ids", 2, 3), float("table", 9, 4)),
    "embed: ids [2, 3] · table [9, 4]: ids must be [T]",
  ],
  [
    () => embed(index("row", 3), float("vector", 9)),
    "embed: row [3] · vector [9]: the table must be [V, H]",
  ],
  [
    () => gatherRows(float("x", 7, 4096), index("want", 2, 1)),
    "gather_rows: x [7, 4096] · want [2, 1]: want must be [N]",
  ],
  [
    () => crossEntropy(float("logits", 3, 9), index("labels", 2)),
    "cross_entropy: logits [3, 9] · labels [2]: labels must be [N]",
  ],
  [
    () => addBias(float("x", 7, 4096), float("b5", 5)),
    "add_bias: x [7, 4096] · b5 [5]: the bias must be [4096]",
  ],
  [
    () => mse(float("logits", 3, 9), float("targets", 3, 8)),
    "mse: logits [3, 9] · targets [3, 8]: the shapes differ",
  ],
  [
    () => bce(float("logits", 3, 9), float("targets", 3, 8)),
    "bce: logits [3, 9] · targets [3, 8]: the shapes differ",
  ],
  [
    () => transpose(float("logits", 3, 9), 2, 2),
    "transpose: logits [3, 9]: 2 blocks of 2 rows need 4 rows",
  ],
  [
    () => rope(float("r", 3, 16), float("cos", 3, 4), float("sin", 3, 4), 4),
    "rope: r [3, 16] · cos [3, 4] · sin [3, 4]: cos and sin must be [T, 2] for 4 heads; is head_dim right?",
  ],
  [
    () => rope(float("r", 3, 16), float("cos2", 2, 2), float("sin2", 2, 2), 4),
    "rope: r [3, 16] · cos2 [2, 2] · sin2 [2, 2]: cos and sin must be [T, 2] for 4 heads; is head_dim right?",
  ],
  [
    () => {
      const where = { seq: index("s", 3), at: index("c", 3) };
      return attention(float("q", 3, 16), float("k", 3, 16), float("v", 3, 8), where, heads);
    },
    "attention: q [3, 16] · k [3, 16] · v [3, 8] · s [3] · c [3]: k and v must be [T, 8], seq and at [T]; " +
      "are head_dim and num_key_value_heads right?",
  ],
  [
    () =>
      kvAppend(
        pool("K", 2, 8, 4),
        pool("V", 2, 8, 4),
        float("k4", 3, 4),
        float("v4", 3, 4),
        index("slots", 3),
      ),
    "kv_append: K [2, 8, 4] · V [2, 8, 4] · k4 [3, 4] · v4 [3, 4] · slots [3]: pools must be [pages, 16, KV]",
  ],
  [
    () =>
      kvAppend(
        pool("K6", 2, 16, 6),
        pool("V6", 2, 16, 6),
        float("k4", 3, 4),
        float("v4", 3, 4),
        index("slots", 3),
      ),
    "kv_append: K6 [2, 16, 6] · V6 [2, 16, 6] · k4 [3, 4] · v4 [3, 4] · slots [3]: a pool and its rows differ in width",
  ],
  [
    () =>
      kvAppend(
        pool("K4", 2, 16, 4),
        pool("V4", 2, 16, 4),
        float("k4", 3, 4),
        float("v4", 3, 4),
        index("slots2", 2),
      ),
    "kv_append: K4 [2, 16, 4] · V4 [2, 16, 4] · k4 [3, 4] · v4 [3, 4] · slots2 [2]: k and v must be [T, KV], slots [T]",
  ],
  [
    () => copyPages(pool("K4", 2, 16, 4), pool("V4", 2, 16, 4), index("from", 2), index("to", 1)),
    "copy_pages: K4 [2, 16, 4] · V4 [2, 16, 4] · from [2] · to [1]: from and to must be [N]",
  ],
  [
    () => sample(float("logits", 3, 9), float("settings", 3, 2), index("draws", 3, 4)),
    "sample: logits [3, 9] · settings [3, 2] · draws [3, 4]: logits must be [N, V], settings [N, 3], draws [N, 4]",
  ],
  [
    () => putTokens(tensor("kept", [4], "state", "i32"), index("token", 3), index("places", 2)),
    "put_tokens: kept [4] · token [3] · places [2]: tokens must be [S], token and slots [N]",
  ],
  [
    () => pickIds(index("row", 3), tensor("kept", [4], "state", "i32"), index("origin", 2)),
    "pick_ids: row [3] · kept [4] · origin [2]: tokens must be [S], ids and from [T]",
  ],
  [
    () => paged([3, 16], [2, 16, 4]),
    "pools must be [pages, 16, 8]; are head_dim and num_key_value_heads right?",
  ],
  [() => paged([3, 16], [2, 16, 8], [2]), "seq and at must be [T]"],
  [() => paged([3, 16], [2, 16, 8], [3], [1, 4, 1]), "pages must be [S, P, 2]"],
  [
    () => eagerAttention(float("q", 3, 16), cache([2, 16, 4]), { ...heads, columns: 16 }),
    "eager_attention: q [3, 16] · K 2 16 4 at 3 in 1 2 2 [2, 16, 4] · V 2 16 4 at 3 in 1 2 2 [2, 16, 4] · " +
      "seq 2 16 4 at 3 in 1 2 2 [3] · at 2 16 4 at 3 in 1 2 2 [3] · pages 2 16 4 at 3 in 1 2 2 [1, 2, 2]: " +
      "pools must be [pages, 16, 8]; are head_dim and num_key_value_heads right?",
  ],
  [
    () =>
      eagerAttention(float("q", 3, 16), cache([2, 16, 8]), { ...heads, columns: 40, unmasked: 33 }),
    "eager_attention: q [3, 16] · pages 2 16 8 at 3 in 1 2 2 [1, 2, 2]: " +
      "33 unmasked columns must fit the score matrix (40 columns) and the page table (32)",
  ],
  [
    () => pagedAttention(float("q", 3, 16), cache([2, 16, 12]), { ...heads, kvHeads: 3 }),
    "4 heads are no multiple of 3 key-value heads",
  ],
];

test.each(refused.map(([call, message]) => [message, call] as const))("%s", (message, call) => {
  const recorded = graph.nodes.length;
  expect(call).toThrow(InputError);
  expect(call).toThrow(message.includes(": ") ? new InputError(message) : message);
  expect(graph.nodes).toHaveLength(recorded);
});
