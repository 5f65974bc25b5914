// What pipeline(task, model, options) refuses: tasks, models and options.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MistralForSequenceClassification, pipeline } from "../../src/index.ts";
import { goldenPath } from "../golden-files.ts";

const model = (name: string): string => goldenPath(`models/${name}`);
const tokenizer = goldenPath("tokenizers/tiny");

test("an unknown task, a model of another class, and options that nothing reads are refused", async () => {
  await expect(pipeline("text-generatoin" as "ner")).rejects.toThrow(
    /did you mean "text-generation"/,
  );
  await expect(pipeline("ner")).rejects.toThrow(/no model came/);
  await expect(pipeline("feature-extraction", { pooling: "last" } as never)).rejects.toThrow(
    'options are the third argument: pipeline("feature-extraction", undefined, { … })',
  );
  const other = await MistralForSequenceClassification.from_pretrained(model("seqcls-f32"));
  await expect(pipeline("ner", other)).rejects.toThrow(
    /the task needs a MistralForTokenClassification/,
  );
  await expect(pipeline("text-classification", other, { tokenizer, threads: 2 })).rejects.toThrow(
    /loaded already/,
  );
  await other.dispose();
  const load = pipeline("text-classification", model("seqcls-f32"), {
    tokenizer,
    top_kk: 2,
  } as object);
  await expect(load).rejects.toThrow(/unknown option "top_kk"/);
  const nowhere = pipeline("text-classification", join(tmpdir(), "base-x"), {});
  await expect(nowhere).rejects.toThrow(/base-x/);
});
