#!/usr/bin/env bash
# Installs what the benchmarks compare with and draw with, outside the project's own dependencies: PyTorch, Transformers,
# bitsandbytes and the writers of ONNX and GGUF in bench/.venv (about 6 GB: the registry's torch carries CUDA, which is not used),
# transformers.js (0.5 GB), node-llama-cpp with its prebuilt CPU library (0.1 GB) and Vega (0.03 GB) in bench/.work.
set -euo pipefail
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --requirement requirements.txt

install() { # folder, then what npm takes
  local folder=".work/$1"
  mkdir -p "$folder"
  echo "{ \"name\": \"$1\", \"private\": true, \"type\": \"module\" }" > "$folder/package.json"
  # Without install scripts: the CPU libraries are in the packages; scripts would only fetch or build others.
  npm install --prefix "$folder" --ignore-scripts --save-exact --no-audit --no-fund "${@:2}"
}
install tjs @huggingface/transformers@4.3.1
# Its optional packages are builds for other machines and for GPUs; this machine's is named.
install llama --omit=optional node-llama-cpp@3.22.1 "@node-llama-cpp/linux-$(node -p process.arch)@3.22.1"
install pictures vega@6.4.0 vega-lite@6.5.0 @resvg/resvg-js@2.6.2
