// `mistral eval`: perplexity of a text, or KL divergence to a reference model, for people or as JSON.
// Does not know how either is computed.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { klDivergence, perplexity } from "../index.ts";
import type { EvaluationOptions, KlDivergence, Perplexity } from "../index.ts";
import type { Arguments, FlagValues } from "./arguments.ts";
import { openModel } from "./load.ts";
import type { Opened } from "./load.ts";
import { workProgress } from "./progress.ts";
import { duration, fitted, styled, write } from "./terminal.ts";
import type { Io } from "./terminal.ts";

const kinds = ["ppl", "kl"] as const;
type Kind = (typeof kinds)[number];

/** @returns the exit code */
export async function evaluate({ flags, words }: Arguments, io: Io): Promise<number> {
  const kind = kindOf(words[0]);
  if (kind === "ppl" && flags.reference !== undefined) {
    throw new InputError("eval ppl: --reference is for eval kl, which compares two models");
  }
  const text = await readTextFile(flags.file);
  const opened: Opened[] = [];
  const open = async (folder: string | undefined, how: FlagValues): Promise<Opened> => {
    const model = await openModel(folder, how, io);
    opened.push(model);
    return model;
  };
  try {
    const folder = words[1] ?? flags.model;
    const judged = await open(folder, flags);
    const reference =
      kind === "kl" ? await open(flags.reference ?? folder, asItIs(flags)) : undefined;
    // As in Transformers' guide the text is one sequence of any length. The tokenizer must not warn that it is too long.
    const { input_ids } = judged.tokenizer(text, { return_tensors: "pt", verbose: false });
    const start = performance.now();
    const bar = flags.quiet ? undefined : workProgress(io.stderr, `eval ${kind}`, "", "token");
    const options: EvaluationOptions = {
      ...(flags.stride !== undefined && { stride: flags.stride }),
      ...(flags["max-length"] !== undefined && { max_length: flags["max-length"] }),
      signal: io.interrupt,
      onProgress: ({ done, total }) => bar?.update({ loaded: done, total }),
    };
    const result =
      reference === undefined
        ? await perplexity(judged.model, input_ids, options)
        : await klDivergence(judged.model, reference.model, input_ids, options);
    bar?.done();
    const seconds = (performance.now() - start) / 1000;
    const facts = {
      model: judged.name,
      ...(reference && { reference: reference.name }),
      dtype: judged.model.dtype,
      quantization: flags.quantization ?? null,
      file: basename(flags.file ?? ""),
    };
    if (flags.json) await write(io.stdout, `${JSON.stringify({ ...facts, ...result, seconds })}\n`);
    else await write(io.stdout, fitted(io.stdout, describe(facts, result, seconds, io)));
    return 0;
  } finally {
    await Promise.all(opened.map(({ model }) => model.dispose()));
  }
}

function kindOf(word: string | undefined): Kind {
  if (word === undefined) {
    throw new InputError("eval: what is to be measured is missing; write eval ppl or eval kl");
  }
  const kind = kinds.find((name) => name === word);
  if (kind === undefined) throw new InputError(`eval: ${unknownName("measure", word, kinds)}`);
  return kind;
}

async function readTextFile(path: string | undefined): Promise<string> {
  if (path === undefined) {
    throw new InputError("eval: the text is missing; name a file with --file <path>");
  }
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : cause;
    throw new InputError(`--file ${path}: cannot be read (${String(code)}); is the path right?`, {
      cause,
    });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InputError(`--file ${path}: not UTF-8 text; convert it, for example with iconv`, {
      cause,
    });
  }
}

/** The flags with which the reference is loaded: without those that change weights or cache, or that speak of another model. */
export function asItIs(flags: FlagValues): FlagValues {
  return {
    ...flags,
    ...{ dtype: undefined, quantization: undefined, "gguf-file": undefined },
    ...{ "compute-dtype": undefined, "cache-dtype": undefined },
    ...(flags.reference !== undefined && { revision: undefined }),
  };
}

function describe(
  { model, reference, file }: { model: string; reference?: string; file: string },
  result: Perplexity | KlDivergence,
  seconds: number,
  { stdout }: Io,
): string {
  const { tokens, max_length, stride } = result;
  const rows: [string, string][] =
    "kl" in result
      ? [
          ["KL divergence", `${digits(result.kl)} nats a token`],
          ["", `median ${digits(result.kl_median)}, 99 % below ${digits(result.kl_p99)}`],
          ["same first choice", `${(result.top1_agreement * 100).toFixed(2)} %`],
          ["perplexity", result.perplexity.toFixed(4)],
          ["of the reference", result.reference_perplexity.toFixed(4)],
        ]
      : [["perplexity", `${result.perplexity.toFixed(4)} (${result.nll.toFixed(5)} nats a token)`]];
  const against = reference === undefined ? "" : ` against ${reference}`;
  const speed = `${tokens} tokens in ${duration(seconds)}`;
  return [
    styled(stdout, "bold", `${model}${against} on ${file}`),
    ...rows.map(([name, value]) => `  ${name.padEnd(20)}${value}`),
    styled(stdout, "dim", `  windows of ${max_length} that move by ${stride}, ${speed}`),
    "",
  ].join("\n");
}

const digits = (x: number): string => x.toPrecision(4);
