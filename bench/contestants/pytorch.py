"""PyTorch on the CPU through Transformers, as a contestant: the other side of protocol.ts.

`options.quantization_config` holds the fields of a BitsAndBytesConfig; the weights are then quantised while they load.
"""

import importlib.metadata
import json
import sys
import time

import torch
import transformers
from transformers import AutoModelForCausalLM, BitsAndBytesConfig


class PyTorch:
    def load(self, request):
        torch.set_num_threads(request["threads"])
        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        options = {"dtype": getattr(torch, request["dtype"])}
        fields = request.get("options", {}).get("quantization_config")
        if fields is not None:
            versions["bitsandbytes"] = importlib.metadata.version("bitsandbytes")
            options |= {"quantization_config": BitsAndBytesConfig(**fields), "device_map": "cpu"}
        start = time.perf_counter()
        self.model = AutoModelForCausalLM.from_pretrained(request["dir"], **options).eval()
        seconds = time.perf_counter() - start
        capability = torch.backends.cpu.get_cpu_capability()
        return {"versions": versions, "seconds": seconds, "instructions": f"ATen: {capability}"}

    def prefill(self, request):
        ids = torch.tensor([request["ids"]])
        seconds = []
        for _ in range(request["repeat"]):
            start = time.perf_counter()
            out = self.model(input_ids=ids, use_cache=True, logits_to_keep=1)
            seconds.append(time.perf_counter() - start)
        logits = out.logits[0, -1].float().tolist() if request["logits"] else None
        return {"seconds": seconds, "logits": logits}

    def generate(self, request):
        ids = torch.tensor([request["ids"]])
        count = request["count"]
        options = {"do_sample": False, "use_cache": True, "max_new_tokens": count}
        if request["full"]:
            options["min_new_tokens"] = count
        seconds = []
        for _ in range(request["repeat"]):
            start = time.perf_counter()
            out = self.model.generate(ids, attention_mask=torch.ones_like(ids), **options)
            seconds.append(time.perf_counter() - start)
        return {"ids": out[0, ids.shape[1] :].tolist(), "seconds": seconds}


def main():
    transformers.utils.logging.disable_progress_bar()
    contestant = PyTorch()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with torch.inference_mode():
                reply = {"result": getattr(contestant, request["op"])(request)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
