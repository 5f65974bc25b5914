// From the first call to the last: dispose, use after it, and processes that end by themselves.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { AutoModelForCausalLM, EngineError, InputError } from "../../src/index.ts";
import { temporaryFolder } from "../engine/written-model.ts";
import { goldenPath } from "../golden-files.ts";

const folder = goldenPath("models/base-f32");

describe("dispose", () => {
  test("twice is harmless, every use is an InputError", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(folder);
    const { past_key_values } = await model({ input_ids: [1, 2], use_cache: true });
    await model.dispose();
    await model.dispose();
    const uses = [
      () => model({ input_ids: [1] }),
      () => model.generate([1]),
      () => model.memory(),
      () => model({ input_ids: [1], past_key_values }),
      () => past_key_values?.fork(),
    ];
    for (const use of uses) {
      const error = await Promise.resolve(use()).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(/disposed of; load it again/);
    }
    await past_key_values?.dispose();
  });

  test("calls in progress reject", async () => {
    const model = await AutoModelForCausalLM.from_pretrained(folder);
    const calls = [
      model.generate([1, 2], { max_new_tokens: 5000, eos_token_id: null }),
      model.generate([3], { max_new_tokens: 5000, eos_token_id: null, do_sample: true }),
    ];
    const results = Promise.allSettled(calls);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await model.dispose();
    for (const result of await results) {
      expect(result.status).toBe("rejected");
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(EngineError);
    }
  });

  test("await using", async () => {
    let kept: AutoModel | undefined;
    {
      await using model = await AutoModelForCausalLM.from_pretrained(folder);
      expect((await model.generate([1, 2], { max_new_tokens: 2 })).dims).toEqual([1, 4]);
      kept = model;
    }
    await expect(kept.generate([1])).rejects.toThrow(InputError);
  });
});

type AutoModel = Awaited<ReturnType<typeof AutoModelForCausalLM.from_pretrained>>;

describe("a process", () => {
  const index = pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href;
  const run = async (body: string): Promise<string> => {
    const { dir, remove } = temporaryFolder();
    const file = join(dir, "program.mts");
    writeFileSync(
      file,
      `import { AutoModelForCausalLM } from ${JSON.stringify(index)};
       const model = await AutoModelForCausalLM.from_pretrained(${JSON.stringify(folder)}, { threads: 2 });
       ${body}`,
    );
    try {
      const options = { timeout: 30_000, killSignal: "SIGKILL" as const };
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], options);
      expect(stderr).toBe("");
      return stdout;
    } finally {
      remove();
    }
  };

  test("that forgets dispose() ends by itself", async () => {
    const out = await run(`
      const ids = await model.generate([1, 2, 3], { max_new_tokens: 4, eos_token_id: null });
      const { past_key_values } = await model({ input_ids: [1, 2, 3] });
      console.log(ids.dims.join(), past_key_values.get_seq_length());`);
    expect(out).toBe("1,7 3\n");
  });

  test("that loses caches gets their pages back", async () => {
    const out = await run(`
      const { setFlagsFromString } = await import("node:v8");
      setFlagsFromString("--expose-gc");
      const gc = (await import("node:vm")).runInNewContext("gc");
      for (let i = 0; i < 5; i++) await model({ input_ids: [1, 2, 3] });
      const before = (await model.memory()).pagesInUse;
      for (let i = 0; i < 100 && (await model.memory()).pagesInUse > 0; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(before > 0, (await model.memory()).pagesInUse);`);
    expect(out).toBe("true 0\n");
  });

  test("waits for a call that nobody awaits yet", async () => {
    const out = await run(
      `model.generate([1, 2, 3], { max_new_tokens: 300, eos_token_id: null }).then((ids) => console.log(ids.dims.join()));`,
    );
    expect(out).toBe("1,303\n");
  });

  test("whose calls were all aborted ends by itself", async () => {
    const out = await run(`
      const signal = AbortSignal.timeout(20);
      const options = { max_new_tokens: 1e5, eos_token_id: null, signal };
      const results = await Promise.allSettled([model.generate([1], options), model.generate([2, 3], options)]);
      console.log(results.map(({ reason }) => reason.name).join());`);
    expect(out).toBe("TimeoutError,TimeoutError\n");
  });
});
