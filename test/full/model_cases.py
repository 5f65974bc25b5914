"""Random Mistral models and calls, with what Transformers gives: model_cases.py FOLDER SEED COUNT

Writes FOLDER/<n>/ (config.json, model.safetensors) and FOLDER/cases.json. float32 compute, eager attention. Greedy ids are
kept as far as float32 and float64 agree on them. No window of 1: the cache of Transformers 5.23 keeps its last window - 1 keys by
a slice from -0, which is all of them.
"""
import json
import math
import os
import random
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from transformers import MistralConfig, MistralForCausalLM

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)


def rope(r, positions):
    theta = r.choice([1e3, 1e4, 1e6])
    kind = r.choice(["default", "default", "linear", "yarn", "llama3"])
    p = {"rope_type": kind, "rope_theta": theta}
    if kind in ("linear", "yarn"):
        p["factor"] = r.choice([1.5, 2.0, 4.0])
    if kind == "yarn":
        p["original_max_position_embeddings"] = positions // 4
    if kind == "llama3":
        p.update(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=positions // 8)
    return p


def config(r):
    kv = r.choice([1, 2, 3])
    heads = kv * r.choice([1, 2, 4])
    positions = r.choice([256, 512])
    return MistralConfig(
        vocab_size=r.choice([61, 200, 333]), hidden_size=r.choice([24, 40, 64, 100]), intermediate_size=r.choice([30, 96, 130]),
        num_hidden_layers=r.choice([1, 2, 3]), num_attention_heads=heads, num_key_value_heads=kv, head_dim=r.choice([2, 8, 16, 20, 32]),
        hidden_act=r.choice(["silu", "silu", "gelu", "gelu_new", "relu"]), max_position_embeddings=positions,
        rms_norm_eps=r.choice([1e-5, 1e-6, 1e-3]), sliding_window=r.choice([None, 2, 3, 16, 17, 40]),
        tie_word_embeddings=r.choice([True, False]), rope_parameters=rope(r, positions), pad_token_id=0, bos_token_id=1, eos_token_id=2)


def make(r, seed):
    c = config(r)
    c._attn_implementation = "eager"
    model = MistralForCausalLM(c).eval()
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.2 * torch.randn(p.shape, generator=g))
            else:
                scale = 0.6 if "embed" in name else 1.3 / math.sqrt(p.shape[1])
                p.copy_(scale * torch.randn(p.shape, generator=g))
    return model


def mask(r, B, S, side):
    rows = []
    for b in range(B):
        pad = r.randrange(0, S // 2) if b else 0
        row = [0] * pad + [1] * (S - pad) if side == "left" else [1] * (S - pad) + [0] * pad
        if side == "holes":
            row = [1 if i in (0, S - 1) or r.random() < 0.8 else 0 for i in range(S)]
        rows.append(row)
    return torch.tensor(rows)


def run(folder, seed, count):
    cases = []
    for n in range(count):
        r = random.Random(f"{seed} {n}")
        model = make(r, seed * 1000 + n)
        dtype = r.choice([torch.float32, torch.bfloat16, torch.float16])
        directory = os.path.join(folder, str(n))
        model.to(dtype).save_pretrained(directory)
        model = MistralForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
        exact = MistralForCausalLM.from_pretrained(directory, dtype=torch.float64, attn_implementation="eager").eval()
        V = model.config.vocab_size
        B, S = r.choice([1, 2, 3]), r.choice([1, 7, 33, 70])
        ids = torch.tensor([[r.randrange(3, V) for _ in range(S)] for _ in range(B)])
        side = r.choice(["none", "left", "right", "holes"]) if S > 3 else "none"
        m = torch.ones_like(ids) if side == "none" else mask(r, B, S, side)
        with torch.inference_mode():
            out = model(input_ids=ids, attention_mask=m, output_hidden_states=True)
            prompt_mask = torch.ones_like(ids) if side in ("none", "right") else m
            kw = dict(do_sample=False, max_new_tokens=40, eos_token_id=2, pad_token_id=0, repetition_penalty=r.choice([1.0, 1.0, 1.2]))
            greedy = [g.generate(ids, attention_mask=prompt_mask, **kw).tolist() for g in (model, exact)]
        cases.append({
            "n": n, "side": side, "input_ids": ids.tolist(), "attention_mask": m.tolist(), "prompt_mask": prompt_mask.tolist(),
            "logits": out.logits.tolist(), "last": out.hidden_states[-1].tolist(), "kwargs": kw,
            "sequences": greedy[0] if greedy[0] == greedy[1] else None,
        })
    with open(os.path.join(folder, "cases.json"), "w") as f:
        json.dump(cases, f)


run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
