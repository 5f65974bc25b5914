import { expect, test } from "vitest";
import { printPlan } from "../../src/graph/print.ts";
import { recordStep, type StepShape } from "../../src/generate/record.ts";
import { stepModel, tinyConfig } from "../tiny-model.ts";

const SHAPE: StepShape = {
  ...{ T: 8, N: 2, S: 1, P: 4, columns: 0 },
  ...{ embeds: false, wants: { logits: true } },
};

test("one layer of the model, as the backends get it", () => {
  const { plan } = recordStep(stepModel(tinyConfig(), "bf16"), SHAPE);
  expect(printPlan(plan, "layers.1")).toMatchInlineSnapshot(`
    "%39 [rows ≤ 8, 8] @6, %40 [rows ≤ 8] unused = rms_norm(%37, model.layers.1.input_layernorm.weight, eps=0.000001)
    %42 [rows ≤ 8, 16] @5 = linear(%39, model.layers.1.self_attn.q_proj.weight)
    %44 [rows ≤ 8, 8] @3 = linear(%39, model.layers.1.self_attn.k_proj.weight)
    %46 [rows ≤ 8, 8] @4 = linear(%39, model.layers.1.self_attn.v_proj.weight)
    %47 [rows ≤ 8, 16] @2 = rope(%42, cos, sin, heads=4, inverse=false)
    %48 [rows ≤ 8, 8] @1 = rope(%44, cos, sin, heads=2, inverse=false)
    writes cache.1.k [1, 16, 8], writes cache.1.v [1, 16, 8] = kv_append(cache.1.k, cache.1.v, %48, %46, slots)
    %51 [rows ≤ 8, 16] @5 = paged_attention(%47, cache.1.k, cache.1.v, seq, at, pages, heads=4, kvHeads=2, window=3, scale=0.5)
    %53 [rows ≤ 8, 8] @6 = linear(%51, model.layers.1.self_attn.o_proj.weight)
    %54 [rows ≤ 8, 8] @3 = add(%37, %53)
    %56 [rows ≤ 8, 8] @4, %57 [rows ≤ 8] unused = rms_norm(%54, model.layers.1.post_attention_layernorm.weight, eps=0.000001)
    %59 [rows ≤ 8, 12] @1 = linear(%56, model.layers.1.mlp.gate_proj.weight)
    %61 [rows ≤ 8, 12] @2 = linear(%56, model.layers.1.mlp.up_proj.weight)
    %62 [rows ≤ 8, 12] @5 = glu(%59, %61, act=silu)
    %64 [rows ≤ 8, 8] @0 = linear(%62, model.layers.1.mlp.down_proj.weight)
    %65 [rows ≤ 8, 8] @6 = add(%54, %64)"
  `);
});

test("what surrounds the layers", () => {
  const { plan } = recordStep(stepModel(tinyConfig({ tie_word_embeddings: true })), SHAPE);
  expect(printPlan(plan, "embed")).toMatchInlineSnapshot(
    `"%2 [rows ≤ 8, 8] @0 = embed(ids, model.embed_tokens.weight, padding=-1)"`,
  );
  expect(printPlan(plan, "head")).toMatchInlineSnapshot(`
    "%66 [wanted ≤ 2, 8] @4 = gather_rows(%65, want)
    %68 [wanted ≤ 2, 8] @1, %69 [wanted ≤ 2] unused = rms_norm(%66, model.norm.weight, eps=0.000001)
    %70 [wanted ≤ 2, 11] @3 = linear(%68, model.embed_tokens.weight)"
  `);
});

test("a whole plan is its regions, and every node has one", () => {
  const { plan } = recordStep(stepModel(tinyConfig()), SHAPE);
  const regions = ["embed", "layers.0", "layers.1", "head"];
  expect(printPlan(plan)).toBe(regions.map((region) => printPlan(plan, region)).join("\n"));
});
