"""Exports a checkpoint to ONNX as transformers.js reads it (with cache), with the model builder of onnxruntime-genai.

Usage: export-onnx.py CHECKPOINT_DIR OUT_DIR [fp32|q4].  q4: blocks of 32, int8 activations.  Set for the same computation, or in transformers.js's favour:
the head computes the last row only; the sliding window, which the builder leaves out for Mistral, is put into the attention ops.
The cache's head size, which the builder leaves open, is filled in: transformers.js makes the empty cache from it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx


PRECISIONS = {"fp32": ("fp32", "model.onnx", []), "q4": ("int4", "model_q4.onnx", ["int4_block_size=32", "int4_accuracy_level=4"])}


def main(checkpoint: Path, out: Path, dtype: str) -> None:
    precision, file, extra = PRECISIONS[dtype]
    onnx_dir = out / "onnx"
    onnx_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        builder = [sys.executable, "-m", "onnxruntime_genai.models.builder", "--extra_options", "prune_lm_head=true", f"filename={file}", *extra]
        places = ["-i", str(checkpoint), "-o", str(onnx_dir), "-c", cache, "-p", precision, "-e", "cpu"]
        subprocess.run([*builder, *places], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=sys.stderr)
    config = json.loads((checkpoint / "config.json").read_text())
    complete(onnx_dir / file, config)
    for name in ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]:
        if (checkpoint / name).exists():
            shutil.copy(checkpoint / name, out / name)


def complete(path: Path, config: dict) -> None:
    window = config.get("sliding_window")
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    model = onnx.load(path, load_external_data=False)
    attentions = [node for node in model.graph.node if node.op_type == "GroupQueryAttention"]
    if not attentions:
        raise SystemExit(f"{path}: no GroupQueryAttention found; the exporter has changed")
    for node in attentions:
        for attribute in node.attribute:
            if attribute.name == "local_window_size":
                attribute.i = -1 if window is None else window
    for value in [*model.graph.input, *model.graph.output]:
        if value.name.startswith(("past_key_values", "present")):
            value.type.tensor_type.shape.dim[3].dim_value = head_dim
    onnx.save(model, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "fp32")
