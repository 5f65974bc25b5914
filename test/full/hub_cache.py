"""Does with a cache what the test asks, by huggingface_hub and Transformers; prints what they found as JSON."""

import json
import sys

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

repo, *steps = sys.argv[1:]
found = {}
for step in steps:
    if step == "snapshot":
        found[step] = snapshot_download(repo)
    elif step == "snapshot_offline":
        found[step] = snapshot_download(repo, local_files_only=True)
    elif step == "file":
        found[step] = hf_hub_download(repo, "config.json")
    elif step == "tokenizer":
        found[step] = AutoTokenizer.from_pretrained(repo)("Hello, world")["input_ids"]
    elif step == "config":
        found[step] = AutoConfig.from_pretrained(repo).hidden_size
    elif step == "generation":
        found[step] = GenerationConfig.from_pretrained(repo).eos_token_id
    elif step == "model":
        model = AutoModelForCausalLM.from_pretrained(repo)
        import torch

        ids = torch.tensor([[1, 10, 20]])
        found[step] = model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0).tolist()
    elif step == "scan":
        info = scan_cache_dir()
        found[step] = {
            "warnings": [str(warning) for warning in info.warnings],
            "size_on_disk": info.size_on_disk,
            "repos": [
                {
                    "repo_id": one.repo_id,
                    "nb_files": one.nb_files,
                    "size_on_disk": one.size_on_disk,
                    "revisions": sorted(
                        [
                            {
                                "commit_hash": revision.commit_hash,
                                "refs": sorted(revision.refs),
                                "size_on_disk": revision.size_on_disk,
                                "files": sorted(
                                    str(file.file_path.relative_to(revision.snapshot_path)) for file in revision.files
                                ),
                            }
                            for revision in one.revisions
                        ],
                        key=lambda revision: revision["commit_hash"],
                    ),
                }
                for one in sorted(info.repos, key=lambda one: one.repo_id)
            ],
        }
    else:
        raise ValueError(step)
print(json.dumps(found))
