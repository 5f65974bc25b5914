"""Loads folders that save_pretrained wrote with Transformers, and writes quantised classifiers: save_model.py FOLDER

FOLDER/plan.json: { "load": [name], "quantise": [{ "from": folder, "to": name, "bits": 4 | 8 }], "input_ids": [[...]] }.
Writes FOLDER/results.json: name -> { output: nested list }, for both. Float32 compute.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import bitsandbytes.nn.modules
import torch
import transformers
from transformers import BitsAndBytesConfig

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
# Its packed weights for CPUs with AVX-512 compute in bfloat16, and fail where 64 does not divide a row.
bitsandbytes.nn.modules.has_avx512bf16 = lambda: False

folder = sys.argv[1]
plan = json.load(open(os.path.join(folder, "plan.json")))
ids = torch.tensor(plan["input_ids"])
results = {}


def class_of(path):
    return getattr(transformers, json.load(open(os.path.join(path, "config.json")))["architectures"][0])


def run(model):
    model.eval()
    with torch.no_grad():
        out = model(input_ids=ids, use_cache=False)
    return {key: value.float().tolist() for key, value in out.items() if torch.is_tensor(value)}


for name in plan["load"]:
    path = os.path.join(folder, name)
    model, info = class_of(path).from_pretrained(path, output_loading_info=True, dtype=torch.float32)
    assert not info["missing_keys"] and not info["unexpected_keys"], (name, info)
    results[name] = run(model)

for job in plan["quantise"]:
    settings = (
        BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
        if job["bits"] == 4
        else BitsAndBytesConfig(load_in_8bit=True)
    )
    model = class_of(job["from"]).from_pretrained(job["from"], quantization_config=settings, dtype=torch.float32)
    results[job["to"]] = run(model)
    model.save_pretrained(os.path.join(folder, job["to"]))

json.dump(results, open(os.path.join(folder, "results.json"), "w"))
