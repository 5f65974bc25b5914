"""What the pipelines of Transformers 5.23 give on the small models: make_cases.py MODELS TOKENIZER OUT

MODELS and TOKENIZER are folders of the reference data, OUT is cases.json. Transformers 5 has no question-answering pipeline any more:
its rules (those of 4.57) are written out below in numpy, as are the scores of labels by a language model and the poolings of features.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
import transformers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
models, tokenizer_folder, out = sys.argv[1:]
path = lambda name: os.path.join(models, name)
new_tokenizer = lambda **kwargs: AutoTokenizer.from_pretrained(tokenizer_folder, **kwargs)
result = {}

TEXTS = ["The dragon opened its eyes.", "Anna met Bob in Paris.", "é 👍 한국어 text", "no", "One two three four five six seven."]


def plain(value):
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.item() if isinstance(value, (np.generic, torch.Tensor)) and getattr(value, "ndim", 0) == 0 else value


def cases(name, pipe, calls):
    result[name] = [{"inputs": inputs, "options": options, "outputs": plain(pipe(inputs, **options))} for inputs, options in calls]


# Classification of texts
model = AutoModelForSequenceClassification.from_pretrained(path("seqcls-f32"))
pipe = pipeline("text-classification", model=model, tokenizer=new_tokenizer())
calls = [(text, {}) for text in TEXTS]
calls += [(TEXTS, options) for options in ({}, {"top_k": None}, {"top_k": 2}, {"top_k": 1}, {"function_to_apply": "sigmoid"}, {"function_to_apply": "none", "top_k": 3}, {"batch_size": 3})]
calls += [(TEXTS[0], {"top_k": None}), ({"text": TEXTS[0], "text_pair": TEXTS[1]}, {}), ([{"text": TEXTS[0], "text_pair": TEXTS[1]}], {"top_k": 2})]
calls += [(TEXTS[4], {"truncation": True, "max_length": 6})]
cases("text-classification", pipe, calls)
for problem in ("regression", "multi_label_classification"):
    model.config.problem_type = problem
    cases(f"text-classification {problem}", pipe, [(TEXTS, {"top_k": None})])
model.config.problem_type = None

# Zero-shot with a model for inference
model.config.label2id = {"contradiction": 0, "neutral": 1, "entailment": 2}
model.config.id2label = {0: "contradiction", 1: "neutral", 2: "entailment"}
pipe = pipeline("zero-shot-classification", model=model, tokenizer=new_tokenizer())
result["zero-shot entailment"] = [
    {"inputs": inputs, "labels": labels, "options": options, "outputs": plain(pipe(inputs, candidate_labels=labels, **options))}
    for inputs, labels, options in [
        (TEXTS[0], ["story", "news", "poem"], {}),
        (TEXTS[0], "story, news", {}),
        (TEXTS[:3], ["story", "news"], {"multi_label": True}),
        (TEXTS[1], ["people"], {}),
        (TEXTS[1], ["people", "places"], {"hypothesis_template": "It is about {}"}),
    ]
]

# Classification of tokens
model = AutoModelForTokenClassification.from_pretrained(path("tokcls-f32"))
model.config.id2label = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
model.config.label2id = {label: i for i, label in model.config.id2label.items()}
pipe = pipeline("token-classification", model=model, tokenizer=new_tokenizer())
calls = [(TEXTS, {"aggregation_strategy": strategy}) for strategy in ("none", "simple", "first", "average", "max")]
calls += [(TEXTS[1], {}), (TEXTS[:2], {"ignore_labels": []}), (TEXTS[:2], {"aggregation_strategy": "simple", "ignore_labels": ["PER"]})]
calls += [(["Anna", "met", "Bob's", "cat"], {"is_split_into_words": True}), (["Anna", "met"], {"is_split_into_words": True, "delimiter": "--"})]
calls += [([["Anna", "met"], ["Bob"]], {"is_split_into_words": True, "aggregation_strategy": "simple"})]  # in a batch padded on the left, index counts the padding
cases("token-classification", pipe, calls)
LONG = " ".join(TEXTS[:2] * 6)
pipe = pipeline("token-classification", model=model, tokenizer=new_tokenizer(model_max_length=24))
cases("token-classification long", pipe, [(LONG, {"aggregation_strategy": strategy, "stride": 4}) for strategy in ("simple", "first", "max")] + [(LONG, {})])

# Features
model = AutoModel.from_pretrained(path("base-f32"))
tokenizer = new_tokenizer()
pipe = pipeline("feature-extraction", model=model, tokenizer=tokenizer)
result["feature-extraction"] = []
for text in TEXTS[:3]:
    features = np.array(pipe(text)[0])
    row = {"inputs": text, "first": features[0].tolist(), "last": features[-1].tolist(), "mean": features.mean(0).tolist(), "length": len(features)}
    row["normalised"] = (features[-1] / np.linalg.norm(features[-1])).tolist()
    result["feature-extraction"].append(row)

# Generation, greedy
model = AutoModelForCausalLM.from_pretrained(path("base-f32"))
pipe = pipeline("text-generation", model=model, tokenizer=new_tokenizer())
greedy = {"do_sample": False, "max_new_tokens": 12}
chat = [{"role": "user", "content": "Hello there"}]
calls = [(TEXTS[0], options) for options in (greedy, {**greedy, "return_full_text": False}, {**greedy, "return_tensors": True}, {**greedy, "skip_special_tokens": False})]
calls += [(TEXTS[0], {**greedy, "prefix": "Say: "}), (TEXTS[4], {**greedy, "truncation": True, "tokenizer_encode_kwargs": {"max_length": 5}})]
calls += [(TEXTS[:4], greedy), (TEXTS[:4], {**greedy, "batch_size": 3}), (chat, greedy), ([chat, chat], {**greedy, "return_full_text": False})]
calls += [(chat + [{"role": "assistant", "content": "Oh"}], greedy), (TEXTS[0], {**greedy, "add_special_tokens": False})]
cases("text-generation", pipe, calls)
whole = pipe(TEXTS[0], **greedy, return_full_text=False)[0]["generated_text"]
stop = whole[3:5]
cases("text-generation stop", pipe, [(TEXTS[0], {**greedy, "stop_sequence": stop}), (TEXTS[0], {**greedy, "stop_sequence": [stop, "zzz"], "return_full_text": False})])
small = pipeline("text-generation", model=model, tokenizer=new_tokenizer(model_max_length=20))
cases("text-generation hole", small, [(LONG, {"do_sample": False, "max_new_tokens": 8, "handle_long_generation": "hole", "return_full_text": False})])

# Labels scored by a language model: the mean log-probability of the label's tokens behind the text and the words before the label
tokenizer = new_tokenizer()
result["zero-shot language model"] = []
for text, labels, template in [(TEXTS[0], ["story", "news", "a long poem"], "This example is {}."), (TEXTS[1], ["people", "places"], "Topic: {}")]:
    before = f"{text}\n{template.split('{}')[0]}"
    prompt = tokenizer(before)["input_ids"]
    scores = []
    for label in labels:
        ids = tokenizer(before + label)["input_ids"]
        start = next((i for i, (a, b) in enumerate(zip(prompt, ids)) if a != b), min(len(prompt), len(ids)))
        with torch.no_grad():
            log_probs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        scores.append(np.mean([log_probs[i - 1, ids[i]].item() for i in range(start, len(ids))]))
    e = np.exp(np.array(scores) - max(scores))
    order = np.argsort(-e)
    result["zero-shot language model"].append({"inputs": text, "labels": labels, "options": {"hypothesis_template": template}, "outputs": {"sequence": text, "labels": [labels[i] for i in order], "scores": (e / e.sum())[order].tolist()}, "likelihoods": np.exp(np.array(scores)[order]).tolist()})

# Answers
model = AutoModelForQuestionAnswering.from_pretrained(path("qa-f32"))
tokenizer = new_tokenizer()


def answer(question, context, top_k=1, doc_stride=None, max_answer_len=15, max_seq_len=None, handle_impossible_answer=False):
    max_seq_len = max_seq_len or min(tokenizer.model_max_length, 384)
    doc_stride = min(max_seq_len // 2, 128) if doc_stride is None else doc_stride
    enc = tokenizer(question, context, truncation="only_second", max_length=max_seq_len, stride=doc_stride, return_overflowing_tokens=True, return_offsets_mapping=True)
    answers, null = [], 1000000.0
    for i, ids in enumerate(enc["input_ids"]):
        with torch.no_grad():
            output = model(torch.tensor([ids]))
        allowed = np.array([each == 1 for each in enc.sequence_ids(i)])
        sides = []
        for logits in (output.start_logits[0].numpy(), output.end_logits[0].numpy()):
            logits = np.where(allowed, logits, -10000.0)
            e = np.exp(logits - logits.max())
            sides.append(e / e.sum())
        start, end = sides
        null = min(null, (start[0] * end[0]).item())
        start[0] = end[0] = 0.0
        table = np.tril(np.triu(np.outer(start, end)), max_answer_len - 1)
        best = np.argsort(-table.flatten(), kind="stable")[:top_k]
        for flat in best:
            s, e = np.unravel_index(flat, table.shape)
            if not (allowed[s] and allowed[e]):
                continue
            a, b = enc["offset_mapping"][i][s][0], enc["offset_mapping"][i][e][1]
            text = context[a:b]
            known = next((each for each in answers if each["answer"].lower() == text.lower()), None)
            if known:
                known["score"] += table[s, e].item()
            else:
                answers.append({"score": table[s, e].item(), "start": a, "end": b, "answer": text})
    if handle_impossible_answer:
        answers.append({"score": null, "start": 0, "end": 0, "answer": ""})
    answers = sorted(answers, key=lambda each: -each["score"])[:top_k]
    return answers[0] if len(answers) == 1 else answers


result["question-answering"] = [
    {"question": question, "context": context, "options": options, "outputs": answer(question, context, **options)}
    for question, context, options in [
        ("Who met Bob?", TEXTS[1], {}),
        ("Who met Bob?", TEXTS[1], {"top_k": 3}),
        ("What?", LONG, {"top_k": 4, "max_seq_len": 32, "doc_stride": 8}),
        ("What?", LONG, {"max_answer_len": 2, "max_seq_len": 40}),
        ("What?", TEXTS[2], {"top_k": 2}),
        ("What?", LONG, {"top_k": 5, "handle_impossible_answer": True}),
    ]
]

with open(out, "w") as file:
    json.dump(result, file, ensure_ascii=False, indent=1)
    file.write("\n")
