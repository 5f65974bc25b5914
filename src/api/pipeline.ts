// pipeline(task, model, options): finds the pipeline of a task, and loads its model and tokenizer. Does not know what tasks do.

import { unknownName } from "../did-you-mean.ts";
import { InputError } from "../errors.ts";
import { AutoConfig } from "./auto-config.ts";
import { AutoTokenizer } from "./tokenizer/auto-tokenizer.ts";
import { refusePromise } from "./forgotten-await.ts";
import { MistralForCausalLM } from "./model/causal-lm.ts";
import { defaultModel } from "./default-model.ts";
import { loadModel, type ModelConstructor } from "./model/load.ts";
import { checkLoadOptions, type LoadOptions } from "./model/load-options.ts";
import { MistralModel } from "./model/mistral-model.ts";
import {
  type FeatureExtractionOptions,
  type PooledFeaturesPipeline,
  FeatureExtractionPipeline,
} from "./pipelines/feature-extraction.ts";
import type { PipelineParts } from "./pipelines/pipeline-base.ts";
import {
  type QuestionAnsweringOptions,
  QuestionAnsweringPipeline,
} from "./pipelines/question-answering.ts";
import {
  type TextClassificationOptions,
  TextClassificationPipeline,
} from "./pipelines/text-classification.ts";
import {
  type AnswerPipeline,
  type TextGenerationOptions,
  TextGenerationPipeline,
} from "./pipelines/text-generation.ts";
import {
  type TokenClassificationOptions,
  TokenClassificationPipeline,
} from "./pipelines/token-classification.ts";
import {
  type ZeroShotClassificationOptions,
  ZeroShotClassificationPipeline,
} from "./pipelines/zero-shot-classification.ts";
import { PLACE_OPTIONS } from "./model-files.ts";
import type { ForwardInputs, PreTrainedModel } from "./model/pretrained-model.ts";
import { MistralForQuestionAnswering } from "./model/question-answering.ts";
import { MistralForSequenceClassification } from "./model/sequence-classification.ts";
import { MistralForTokenClassification } from "./model/token-classification.ts";
import { PreTrainedTokenizer } from "./tokenizer/tokenizer.ts";

/** Each task's pipeline, and the options of its calls. */
type Tasks = {
  "text-generation": [TextGenerationPipeline, TextGenerationOptions];
  "text-classification": [TextClassificationPipeline, TextClassificationOptions];
  "sentiment-analysis": [TextClassificationPipeline, TextClassificationOptions];
  "token-classification": [TokenClassificationPipeline, TokenClassificationOptions];
  ner: [TokenClassificationPipeline, TokenClassificationOptions];
  "question-answering": [QuestionAnsweringPipeline, QuestionAnsweringOptions];
  "feature-extraction": [FeatureExtractionPipeline, FeatureExtractionOptions];
  "zero-shot-classification": [ZeroShotClassificationPipeline, ZeroShotClassificationOptions];
};

/** The tasks of `pipeline`. "sentiment-analysis" is "text-classification", "ner" is "token-classification". */
export type PipelineTask = keyof Tasks;

/** Options of `pipeline`: those of `from_pretrained` for the model, and those of the task's calls, which then need not repeat them. */
export type PipelineOptions<Task extends PipelineTask = PipelineTask> = Omit<
  LoadOptions,
  "output_loading_info" | keyof Tasks[Task][1]
> &
  Omit<Tasks[Task][1], "signal"> & {
    /** A tokenizer, or the folder of one. Default: the model's folder. */
    tokenizer?: string | PreTrainedTokenizer;
    /** Options of `from_pretrained` whose names an option of the task has too. */
    model_kwargs?: LoadOptions;
    /** Stops loading; the promise rejects with the signal's reason. A call has a signal of its own. */
    signal?: AbortSignal;
  };

/** Options with which features are one vector a text, as lists. */
type Pooled = { pooling: "last" | "mean"; return_tensors?: false | undefined };

type AnyModel = PreTrainedModel<ForwardInputs, object>;
type Options = PipelineOptions & Record<string, unknown>;

const ALIASES: Readonly<Record<string, string>> = {
  "sentiment-analysis": "text-classification",
  ner: "token-classification",
};
const TASKS: readonly string[] = [
  ...["text-generation", "text-classification", "token-classification", "question-answering"],
  ...["feature-extraction", "zero-shot-classification"],
];

/** Makes a pipeline that gives one vector a text, since `pooling` says of which tokens. */
export function pipeline(
  task: "feature-extraction",
  model: string | AnyModel | null | undefined,
  options: PipelineOptions<"feature-extraction"> & Pooled,
): Promise<PooledFeaturesPipeline>;
/** Makes a pipeline that answers in conversations, and gives the answers alone, since `return_full_text` is false. */
export function pipeline(
  task: "text-generation",
  model: string | AnyModel | null | undefined,
  options: PipelineOptions<"text-generation"> & { return_full_text: false },
): Promise<AnswerPipeline>;
/**
 * Makes a pipeline: model and tokenizer for a task, as one function from texts to results. `dispose()` ends the model.
 *
 * @param task    such as "text-generation"; see `PipelineTask`
 * @param model   the model's folder, or what else `from_pretrained` takes; or a model of the task's class, which then needs `tokenizer`
 *                unless it was loaded from a folder that has one. Default: the embedded model, for the tasks of a language model
 * @param options those of `from_pretrained`, and those of the task's calls, which hold for every call that does not give its own
 * @throws InputError an unknown task or option; a model of another class
 * @throws CheckpointError, MemoryError as `from_pretrained`
 * @see Transformers 5.23 `pipeline`; "question-answering" is as in Transformers 4, where 5 has none any more
 */
export function pipeline<Task extends PipelineTask>(
  task: Task,
  model?: string | AnyModel | null,
  options?: PipelineOptions<Task>,
): Promise<Tasks[Task][0]>;
export async function pipeline<Task extends PipelineTask>(
  task: Task,
  model?: string | AnyModel | null,
  options: PipelineOptions<Task> = {} as PipelineOptions<Task>,
): Promise<Tasks[Task][0]> {
  return (await makePipeline(task, model ?? undefined, options as Options)) as Tasks[Task][0];
}

async function makePipeline(
  task: string,
  model: string | AnyModel | undefined,
  options: Options,
): Promise<Tasks[PipelineTask][0]> {
  const { [task]: name = task } = ALIASES;
  const parts = <Model extends AnyModel, Own>(
    known: ReadonlySet<string>,
    ...classes: ModelConstructor<Model>[]
  ): Promise<PipelineParts<Model, Own>> => partsOf(name, classes, known, model, options);
  switch (name) {
    case "text-generation":
      return new TextGenerationPipeline(
        await parts(TextGenerationPipeline.options, MistralForCausalLM),
      );
    case "text-classification":
      return new TextClassificationPipeline(
        await parts(TextClassificationPipeline.options, MistralForSequenceClassification),
      );
    case "token-classification":
      return new TokenClassificationPipeline(
        await parts(TokenClassificationPipeline.options, MistralForTokenClassification),
      );
    case "question-answering":
      return new QuestionAnsweringPipeline(
        await parts(QuestionAnsweringPipeline.options, MistralForQuestionAnswering),
      );
    case "feature-extraction":
      return new FeatureExtractionPipeline(
        await parts(FeatureExtractionPipeline.options, MistralModel),
      );
    case "zero-shot-classification":
      return new ZeroShotClassificationPipeline(
        await parts<
          MistralForSequenceClassification | MistralForCausalLM,
          ZeroShotClassificationOptions
        >(
          ZeroShotClassificationPipeline.options,
          MistralForSequenceClassification,
          MistralForCausalLM,
        ),
      );
    default: {
      const known = [...TASKS, ...Object.keys(ALIASES)];
      throw new InputError(
        `pipeline: ${unknownName("task", task, known)} (known: ${known.join(", ")})`,
      );
    }
  }
}

/** Loads what a pipeline is made from. @param classes those that the task takes */
async function partsOf<Model extends AnyModel, Own>(
  task: string,
  classes: readonly ModelConstructor<Model>[],
  known: ReadonlySet<string>,
  model: string | AnyModel | undefined,
  options: Options,
): Promise<PipelineParts<Model, Own>> {
  const where = `pipeline("${task}")`;
  const { tokenizer, model_kwargs, signal, ...given } = options;
  refusePromise(where, model);
  refusePromise(`${where}: tokenizer`, tokenizer);
  const entries = Object.entries(given);
  // `batch_size` and the like are the task's; all else is from_pretrained's, which refuses what it does not know.
  const defaults = Object.fromEntries(entries.filter(([name]) => known.has(name))) as Own;
  const load: LoadOptions = {
    ...Object.fromEntries(entries.filter(([name]) => !known.has(name))),
    ...(signal && { signal }),
    ...model_kwargs,
  };
  if (model !== undefined && typeof model !== "string") {
    const found = classes.some((Class) => model instanceof Class) ? (model as Model) : undefined;
    if (found === undefined) {
      if (isPlainObject(model)) {
        throw new InputError(
          `${where}: options are the third argument: pipeline("${task}", undefined, { … })`,
        );
      }
      const names = classes.map(({ modelClass }) => modelClass).join(" or ");
      throw new InputError(
        `${where}: the model is a ${model?.constructor?.name ?? typeof model}; the task needs a ${names}`,
      );
    }
    const [unknown] = Object.keys(load);
    if (unknown !== undefined) {
      throw new InputError(
        `${where}: ${unknownName("option", unknown, [...known, "tokenizer"])}; options of from_pretrained have no effect on a model that is loaded already`,
      );
    }
    const own = await tokenizerOf(where, tokenizer ?? model.config.name_or_path, {});
    return { model: found, tokenizer: own, defaults, ownsModel: false };
  }
  const isLanguageTask = classes.some(
    ({ modelClass }) => modelClass === "MistralForCausalLM" || modelClass === "MistralModel",
  );
  if (model === undefined && !isLanguageTask) {
    throw new InputError(
      `${where}: no model came, and none for this task is in the package; give the folder of one as the second argument`,
    );
  }
  // Before the tokenizer is looked for, which may have to be fetched.
  checkLoadOptions(where, load);
  const folder = model ?? (await defaultModel());
  const own = await tokenizerOf(where, tokenizer ?? folder, load);
  const Class = await classOf(classes, folder, load);
  const loaded = (await loadModel(where, Class, folder, load)) as Model;
  return { model: loaded, tokenizer: own, defaults, ownsModel: true };
}

/** Whether this is an object as options are written, and of no class. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The class that the folder's config names, else the last. */
async function classOf<Model>(
  classes: readonly ModelConstructor<Model>[],
  folder: string,
  options: LoadOptions,
): Promise<ModelConstructor<Model>> {
  const last = classes[classes.length - 1];
  if (classes.length === 1) return last;
  const { architectures } =
    options.config ?? (await AutoConfig.from_pretrained(folder, placeOf(options)));
  return classes.find(({ modelClass }) => architectures?.includes(modelClass)) ?? last;
}

async function tokenizerOf(
  where: string,
  given: string | PreTrainedTokenizer,
  options: LoadOptions,
): Promise<PreTrainedTokenizer> {
  if (given instanceof PreTrainedTokenizer) return given;
  if (typeof given === "string" && given !== "")
    return AutoTokenizer.from_pretrained(given, placeOf(options));
  throw new InputError(
    `${where}: no tokenizer came, and the model was not loaded from a folder; give one as the option tokenizer`,
  );
}

/** The options of from_pretrained that say where files come from. */
function placeOf(options: LoadOptions): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => PLACE_OPTIONS.includes(name as never)),
  );
}
