"""Writes a checkpoint as GGUF, so that llama.cpp runs the same weights: make-gguf.py CHECKPOINT_DIR OUT.gguf [F32|BF16|Q4_0|Q8_0].

Tensor by tensor, so that memory holds one. Q4_0 and Q8_0 are made by llama.cpp's own quantiser (ggml_quantize_chunk of the library
that node-llama-cpp brings) and by the rules of `llama-quantize`: the same bytes, with the head of a Q4_0 file in Q6_K, or in
Q8_0 where its rows are no multiple of 256. Rows of q and k are interleaved, as the architecture "llama" rotates them; norms are
float32. The architecture has no sliding window.
"""

import ctypes
import functools
import json
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gguf
import numpy as np
from sentencepiece import SentencePieceProcessor

KIND = gguf.GGMLQuantizationType
FILE_TYPES = {"F32": 0, "Q4_0": 2, "Q8_0": 7, "BF16": 32}
STORED = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


def main(checkpoint: Path, out: Path, kind: str) -> None:
    if kind not in FILE_TYPES:
        raise SystemExit(f"{kind}: expected one of {', '.join(FILE_TYPES)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".part")
    write(checkpoint, partial, kind)
    partial.rename(out)


def write(checkpoint: Path, out: Path, kind: str) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "llama", use_temp_file=False)
    describe(writer, checkpoint.name, config, kind)
    vocabulary(writer, checkpoint, config)
    tensors = [(ours(name), data, stored) for name, data, stored in stored_tensors(checkpoint)]
    tied = all(name != "output.weight" for name, _, _ in tensors)
    kinds = [kind_of(name, data.shape, kind, tied) for name, data, _ in tensors]
    for (name, data, _), to in zip(tensors, kinds):
        shape = gguf.quant_shape_to_byte_shape(data.shape, to)
        writer.add_tensor_info(name, shape, np.dtype(np.uint8), int(np.prod(shape)), to)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for (name, data, stored), to in zip(tensors, kinds):
        writer.write_tensor_data(packed(interleaved(name, data, config), stored, to))
    writer.close()


def kind_of(name: str, shape: tuple, kind: str, tied: bool) -> gguf.GGMLQuantizationType:
    """As llama-quantize chooses."""
    if len(shape) == 1:
        return KIND.F32
    if kind != "Q4_0" or name != ("token_embd.weight" if tied else "output.weight"):
        return KIND[kind]
    return KIND.Q6_K if shape[-1] % 256 == 0 else KIND.Q8_0


def describe(writer: gguf.GGUFWriter, name: str, config: dict, kind: str) -> None:
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {}
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope.get("rope_theta") or config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def vocabulary(writer: gguf.GGUFWriter, checkpoint: Path, config: dict) -> None:
    """The pieces of tokenizer.model; a model whose vocabulary is larger gets unused ones behind them."""
    model = SentencePieceProcessor(model_file=str(checkpoint / "tokenizer.model"))
    types = gguf.TokenType
    tokens, scores, kinds = [], [], []
    for i in range(config["vocab_size"]):
        known = i < model.vocab_size()
        tokens.append(model.id_to_piece(i) if known else f"<unused_{i}>")
        scores.append(model.get_score(i) if known else -10000.0)
        if not known or model.is_unused(i):
            kinds.append(types.UNUSED)
        elif model.is_unknown(i):
            kinds.append(types.UNKNOWN)
        elif model.is_control(i):
            kinds.append(types.CONTROL)
        else:
            kinds.append(types.BYTE if model.is_byte(i) else types.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_unk_token_id(model.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def stored_tensors(checkpoint: Path):
    """Name, mapped data (bfloat16 as its bits) and stored dtype of each tensor of all safetensors files."""
    for file in sorted(checkpoint.glob("*.safetensors")):
        with file.open("rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            at, dtype = 8 + length + entry["data_offsets"][0], STORED[entry["dtype"]]
            yield name, np.memmap(file, dtype, "r", at, tuple(entry["shape"])), entry["dtype"]


def ours(name: str) -> str:
    names = {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "lm_head": "output",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    stem, suffix = name.rsplit(".", 1)
    if stem in names:
        return f"{names[stem]}.{suffix}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{names[part]}.{suffix}"


def interleaved(name: str, data: np.ndarray, config: dict) -> np.ndarray:
    """Halves of each head, as Transformers rotates them, become neighbours."""
    if ".attn_q." not in name and ".attn_k." not in name:
        return data
    heads = config["num_attention_heads" if ".attn_q." in name else "num_key_value_heads"]
    return data.reshape(heads, 2, -1, data.shape[1]).swapaxes(1, 2).reshape(data.shape)


def packed(values: np.ndarray, stored: str, to: gguf.GGMLQuantizationType) -> np.ndarray:
    if to == KIND.BF16:
        return narrowed(values, stored)
    if to == KIND.F32:
        return widened(values, stored)
    out = np.empty(gguf.quant_shape_to_byte_shape(values.shape, to), np.uint8)
    rows = range(0, len(values), 512)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda at: quantize(widened(values[at : at + 512], stored), out[at : at + 512], to), rows))
    return out


def widened(values: np.ndarray, stored: str) -> np.ndarray:
    if stored == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(values, np.float32)


def narrowed(values: np.ndarray, stored: str) -> np.ndarray:
    """Bits of bfloat16, rounded to even."""
    if stored == "BF16":
        return np.ascontiguousarray(values)
    bits = widened(values, stored).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def quantize(values: np.ndarray, to: np.ndarray, kind: gguf.GGMLQuantizationType) -> None:
    """Rows of float32 into blocks."""
    size = ctypes.c_int64
    source, target = values.ctypes.data_as(ctypes.c_void_p), to.ctypes.data_as(ctypes.c_void_p)
    written = ggml().ggml_quantize_chunk(int(kind), source, target, size(0), size(len(values)), size(values.shape[1]), None)
    if written != to.size:
        raise SystemExit(f"ggml_quantize_chunk: {written} bytes, {to.size} were expected")


@functools.cache
def ggml() -> ctypes.CDLL:
    arch = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    package = f"node_modules/@node-llama-cpp/linux-{arch}/bins/linux-{arch}"
    library = ctypes.CDLL(str(Path(__file__).parent / ".work/llama" / package / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "Q4_0")
