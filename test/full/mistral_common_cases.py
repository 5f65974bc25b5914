"""Random requests, texts and ids through mistral-common itself, in every version of its encodings.

usage: mistral_common_cases.py FOLDER SEED COUNT            with Mistral AI's own tokenizers, which mistral-common brings
       mistral_common_cases.py FOLDER SEED COUNT TOKENIZERS TEKKEN  with mistral-v1 and mistral-v3 of the folder TOKENIZERS, and a tekken.json
       mistral_common_cases.py --small-tekken                prints such a tekken.json: the first 1,300 tokens of Mistral AI's
Writes one folder for each tokenizer into FOLDER, and the cases with what mistral-common gives for them to standard output."""
import json
import pathlib
import random
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
import mistral_common
from mistral_common.protocol.fim.request import FIMRequest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import ValidationMode
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

DATA = pathlib.Path(mistral_common.__file__).parent / "data"
TEKKEN = DATA / "tekken_240718.json"
OWN = {
    "v1": DATA / "tokenizer.model.v1",
    "v2": DATA / "mistral_instruct_tokenizer_240216.model.v2",
    "v3": DATA / "mistral_instruct_tokenizer_240323.model.v3",
    "v7": DATA / "mistral_instruct_tokenizer_241114.model.v7",
    "v11": DATA / "mistral_instruct_tokenizer_241114.model.v7",
}
# control tokens that newer files list after the twenty old ones, and reserved places between them
NEWER = {32: "[ARGS]", 33: "[CALL_ID]", 34: "[THINK]", 35: "[/THINK]", 36: "[MODEL_SETTINGS]", 37: "[/MODEL_SETTINGS]"}
EFFORT = {"type": "enum", "accepts_none": True, "default": "none", "values": ["none", "high"]}


def special_tokens():
    first = [str(t["token_str"].value) for t in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    names = [first[i] if i < len(first) else NEWER.get(i, f"<SPECIAL_{i}>") for i in range(38)]
    return [{"rank": i, "token_str": name, "is_control": True} for i, name in enumerate(names)]


def small_tekken():
    data = json.loads(TEKKEN.read_text())
    vocab, special = data["vocab"][:1300], 40
    about = "The first 1,300 tokens of tekken_240718.json of Mistral AI's mistral-common (Apache-2.0), with the special tokens of newer files"
    config = {**data["config"], "num_vocab_tokens": 1300, "default_vocab_size": 1300 + special, "default_num_special_tokens": special, "version": "v13"}
    head = {"about": about, "config": config, "special_tokens": special_tokens()}
    rows = ",\n".join(json.dumps(token) for token in vocab)
    return json.dumps(head, indent=1)[:-2] + f',\n "vocab": [\n{rows}\n]}}\n'


def folders(root, spm, tekken):
    """One folder for each tokenizer: name -> the path of its file."""
    out = {}
    for version, source in spm.items():
        folder = root / f"spm-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        out[folder.name] = folder / f"tokenizer.model.{version}"
        shutil.copyfile(source, out[folder.name])
    data = json.loads(tekken.read_text())
    for version in ("v3", "v7", "v11", "v13", "v15"):
        folder = root / f"tekken-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        out[folder.name] = folder / "tekken.json"
        made = {**data, "config": {**data["config"], "version": version}}
        if version != "v3":
            made["special_tokens"] = special_tokens()
        if version == "v15":
            made["model_settings_builder"] = {"reasoning_effort": EFFORT}
        out[folder.name].write_text(json.dumps(made))
    return out


WORDS = ["Hello", " world", "\n", "  ", "[INST]", "</s>", "▁", "<s>", "é", "e\u0301", "끝", "👍", "中文", "a", "B", "1234", ".", '"', "\\", "\t",
         "'s", "the quick", "//", "\r\n", "</INST>", "[TOOL_CALLS]", "<unk>", "<pad>", "\u00a0", "\u3000", "ﬁ", "İ", "☺", "{", "}", "\u0000", "<0x41>", "\u200d"]
JSONS = ['{"a": 1}', '{"b":2.0,"a":[1,null,true]}', '{"2":1,"1":2}', "[]", "", "{}", "not json", '{"x": "é끝\\n\\u00e9\\ud83d\\ude00"}', "42", '"text"', "NaN",
         "1e400", "-0", "-0.0", "1E5", "1e-7", "123456789012345678901234567890", '{"a":1,"a":2}', " {\"a\" : 1 } ", "01", "1.", "[1,]", '{"\\/":"\\/"}', "null",
         "true", '{"city": "Paris", "unit": "celsius"}', "\"\u007f\"", '"\t"', "[Infinity,-Infinity]", "\ufeff{}", "2.50", "0.1e1", "1.7976931348623157e308"]
SCHEMAS = [{}, {"type": "object", "properties": {"city": {"type": "string", "description": "Die Stadt: é \"x\""}}, "required": ["city"]},
           {"type": "object", "properties": {"n": {"type": ["integer", "null"], "minimum": 0, "maximum": 1.5}}}, {"type": "objekt"}, {"required": "city"},
           {"properties": {"a": 5}}, {"enum": [1, None, 2.0]}, {"items": [{"type": "string"}, True]}, {"items": []}, {"anyOf": []}, {"minLength": -1},
           {"required": ["a", "a"]}, {"type": []}, {"multipleOf": 0}, {"dependencies": {"a": ["b"], "c": {"type": "null"}}}, {"additionalProperties": False},
           {"unknown": {"type": 3}}, {"pattern": "^a+$", "format": "date"}, {"default": None, "const": 3.25}, {"uniqueItems": 1}, {"$ref": "#/definitions/x", "definitions": {"x": {}}},
           {"type": "array", "items": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}}}, {"examples": 3}, {"not": {"not": {"type": "x"}}}, {"if": 3}]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self, most=8):
        r = self.r
        if r.random() < 0.05:
            return "".join(chr(r.choice([r.randrange(1, 0xD800), r.randrange(0xE000, 0x110000)])) for _ in range(r.randrange(12)))
        return "".join(r.choice(WORDS) for _ in range(r.randrange(most)))

    def content(self, role, odd):
        r = self.r
        if r.random() < (0.1 if odd else 0.01):
            return r.choice([None, 5, "", [], {"type": "text"}])
        if r.random() < 0.75:
            return self.text() or "x"
        parts = [{"type": "text", "text": self.text(4)} for _ in range(r.randrange(1, 4))]
        if r.random() < (0.4 if role in ("assistant", "system") else 0.05):
            think = {"type": "thinking", "thinking": self.text(5)}
            if r.random() < 0.4:
                think["closed"] = r.random() < 0.5
            parts.insert(r.randrange(len(parts) + 1), think)
        if odd and r.random() < 0.1:
            parts.append(r.choice([{"type": "txt", "text": "a"}, {"text": "a"}, {"type": "text"}, 3]))
        return parts

    def call_id(self, odd):
        r = self.r
        if r.random() < (0.3 if odd else 0.02):
            return r.choice(["call_1", "123456789\n", "", "null", "abcdefgh", "abcdefgh-", "abcdefghij"])
        return "".join(r.choice("abcXYZ0189") for _ in range(9))

    def name(self, odd):
        return self.r.choice(["get weather", "", "a" * 65, "é", "f\n"]) if odd and self.r.random() < 0.1 else self.r.choice(["f", "get_weather", "search-2", "A_1"])

    def call(self, odd):
        r = self.r
        arguments = r.choice(JSONS) if r.random() < 0.7 else r.choice([{"a": 1}, {"city": "Zürich", "n": [1, 2.5, None]}, {}])
        if odd and r.random() < 0.1:
            arguments = r.choice([None, 3, [1]])
        call = {"id": self.call_id(odd), "type": "function", "function": {"name": self.name(odd), "arguments": arguments}}
        if r.random() < 0.1:
            del call["type"]
        if r.random() < (0.1 if odd else 0.01):
            del call[r.choice(["id", "function"])]
        if odd and r.random() < 0.05:
            call["index"] = 0
        return call

    def messages(self, odd):
        r = self.r
        out = []
        if r.random() < 0.4:
            out.append({"role": "system", "content": self.content("system", odd)})
        for _ in range(r.randrange(1, 4)):
            for _ in range(1 if r.random() < 0.8 else 2):
                out.append({"role": "user", "content": self.content("user", odd)})
            if r.random() < 0.1:
                out.append({"role": "system", "content": self.content("system", odd)})
                if not odd:
                    out.append({"role": "user", "content": self.content("user", odd)})
            if r.random() < 0.5:
                calls = [self.call(odd) for _ in range(1 if r.random() < 0.6 else 2)]
                message = {"role": "assistant", "tool_calls": calls}
                if r.random() < 0.2:
                    message["content"] = self.content("assistant", odd)
                out.append(message)
                results = [c.get("id") for c in calls]
                if r.random() < 0.3:
                    r.shuffle(results)
                if r.random() < 0.1:
                    results = results[:-1]
                for id in results:
                    result = {"role": "tool", "content": r.choice(JSONS) if r.random() < 0.7 else self.content("tool", odd), "tool_call_id": id}
                    if r.random() < 0.5:
                        result["name"] = self.name(odd)
                    if odd and r.random() < 0.1:
                        result["tool_call_id"] = self.call_id(True)
                    if odd and r.random() < 0.05:
                        del result["tool_call_id"]
                    out.append(result)
            if r.random() < 0.7:
                message = {"role": "assistant", "content": self.content("assistant", odd)}
                if odd and r.random() < 0.2:
                    message["reasoning_content"] = self.text()
                out.append(message)
        ending = r.random()
        if ending < 0.7:
            out.append({"role": "user", "content": self.content("user", odd)})
        elif ending < 0.85:
            out.append({"role": "assistant", "content": self.text() or "y", "prefix": True})
        if odd:
            kind = r.randrange(8)
            if kind == 0 and out:
                del out[r.randrange(len(out))]
            if kind == 1 and len(out) > 1:
                i = r.randrange(len(out) - 1)
                out[i], out[i + 1] = out[i + 1], out[i]
            if kind == 2 and out:
                r.choice(out)["role"] = r.choice(["bot", "developer", "tool", "user", "assistant", None])
            if kind == 3 and out:
                r.choice(out)["name"] = "bob"
            if kind == 4 and out:
                r.choice(out).pop("content", None)
            if kind == 5:
                out = out[:1] if r.random() < 0.8 else []
        return out

    def tools(self, odd):
        r = self.r
        if r.random() < 0.5:
            return r.choice([None, []])
        out = []
        for _ in range(r.randrange(1, 3)):
            f = {"name": self.name(odd), "description": self.text(5), "parameters": r.choice(SCHEMAS if odd else SCHEMAS[:3])}
            if r.random() < 0.2:
                del f["description"]
            if r.random() < 0.1:
                f["strict"] = True
            if odd and r.random() < 0.1:
                f[r.choice(["description", "parameters", "strict", "extra"])] = None
            tool = {"type": "function", "function": f}
            if r.random() < 0.1:
                del tool["type"]
            if odd and r.random() < 0.05:
                tool["type"] = "tool"
            out.append(tool)
        return out


def outcome(run):
    try:
        return run()
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)[:200]}


def from_openai(messages, tools, **kwargs):
    """As Transformers' MistralCommonBackend.apply_chat_template, which looks at the first message."""
    messages[0]
    return ChatCompletionRequest.from_openai(messages, tools, **kwargs)


def encoded(tokenized):
    return {"tokens": tokenized.tokens, "prefix_ids": tokenized.prefix_ids, "text": tokenized._text}


def main():
    if sys.argv[1] == "--small-tekken":
        sys.stdout.write(small_tekken())
        return
    root, seed, count = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    spm, tekken = OWN, TEKKEN
    if len(sys.argv) > 4:
        v1, v3 = (pathlib.Path(sys.argv[4]) / name / "tokenizer.model" for name in ("mistral-v1", "mistral-v3"))
        spm, tekken = {version: v1 if version == "v1" else v3 for version in OWN}, pathlib.Path(sys.argv[5])
    paths = folders(root, spm, tekken)
    tokenizers = {(n, m): MistralTokenizer.from_file(p, mode=ValidationMode(m)) for n, p in paths.items() for m in ("test", "serving", "finetuning", "agnostic")}
    maker, cases = Maker(seed), []
    for _ in range(count):
        r, odd = maker.r, maker.r.random() < 0.35
        request = {"messages": maker.messages(odd), "tools": maker.tools(odd)}
        if r.random() < 0.3:
            request["truncate_for_context_length"] = True
        if odd and r.random() < 0.1:
            request.update(r.choice([{"foo": 1}, {"reasoning_effort": "high"}, {"reasoning_effort": "none"}, {"temperature": 0.5}]))
        limit = r.choice([None, 20, 60, 200]) if r.random() < 0.5 else 10000
        mode = r.choice(["test", "test", "test", "test", "serving", "finetuning", "agnostic"])
        if mode == "serving" and r.random() < 0.9:
            request["model"] = "m"
        openai = {"continue_final_message": r.random() < 0.2}
        fim = {"prompt": maker.text(), "suffix": r.choice([None, "", maker.text(), ")" + maker.text()])}
        text = maker.text(20)
        results = {}
        for name in paths:
            t = tokenizers[(name, mode)]
            inner = t.instruct_tokenizer.tokenizer
            ids = [r.randrange(inner.n_words) if r.random() < 0.6 else r.randrange(1300) for _ in range(r.randrange(14))]
            results[name] = {
                "chat": outcome(lambda: encoded(t.encode_chat_completion(ChatCompletionRequest(**request), limit))),
                "template": outcome(lambda: encoded(t.encode_chat_completion(from_openai(request["messages"], request["tools"], **openai)))),
                "fim": outcome(lambda: encoded(t.encode_fim(FIMRequest(**fim)))),
                "encode": outcome(lambda: inner.encode(text, True, mode == "finetuning")),
                "ids": ids,
                "decode": {p: outcome(lambda: t.decode(ids, SpecialTokenPolicy(p))) for p in ("ignore", "keep", "raise")},
            }
        cases.append({"request": request, "limit": limit, "mode": mode, "openai": openai, "fim": fim, "text": text, "results": results})
    json.dump({"tokenizers": list(paths), "cases": cases}, sys.stdout)


main()
