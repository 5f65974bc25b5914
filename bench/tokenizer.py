"""One turn of Rust `tokenizers` for bench/tokenizer.ts: seconds to encode a text whole and as documents, on one thread."""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402  (reads the variables when it is imported)

file, texts, ids_out = sys.argv[1:]
tokenizer = tokenizers.Tokenizer.from_file(file)
with open(texts, encoding="utf-8") as f:
    documents = json.load(f)
text = "\n".join(documents)


def seconds(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


tokenizer.encode(text[:20000])
whole, ids = seconds(lambda: tokenizer.encode(text).ids)
split, rows = seconds(lambda: [e.ids for e in tokenizer.encode_batch(documents)])
fast, _ = seconds(lambda: [e.ids for e in tokenizer.encode_batch_fast(documents)])
with open(ids_out, "w") as f:
    json.dump({"whole": ids, "documents": rows}, f)
print(json.dumps({"version": tokenizers.__version__, "whole": whole, "documents": split, "documents_fast": fast}))
