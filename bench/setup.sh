#!/usr/bin/env bash
# Installs what the benchmarks compare with, outside the project's own dependencies: PyTorch, Transformers and the ONNX exporter
# in bench/.venv (about 6 GB: the registry's torch carries CUDA, which is not used), transformers.js in bench/.work/tjs (0.5 GB).
set -euo pipefail
cd "$(dirname "$0")"
python3 -m venv .venv
.venv/bin/pip install --quiet --requirement requirements.txt
mkdir -p .work/tjs
echo '{ "name": "transformers-js", "private": true, "type": "module" }' > .work/tjs/package.json
# onnxruntime-node ships its CPU library in the package; its install script only fetches CUDA, from elsewhere.
npm install --prefix .work/tjs --ignore-scripts --save-exact --no-audit --no-fund @huggingface/transformers@4.3.1
