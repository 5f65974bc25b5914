// How this package stands to a name of Transformers: it works, has no effect, or is refused. Asks the code: option tables, the error or
// the warning that an option gives, and the texts of the declared options.

import { checkLoadOptions } from "../../src/api/model/load-options.ts";
import { generate } from "../../src/api/model/generate.ts";
import { checkOptions } from "../../src/did-you-mean.ts";
import { fields } from "../../src/generate/generation-fields.ts";
import * as mistral from "../../src/index.ts";
import { declaredOptions } from "./declared-options.ts";
import type { Place } from "./names.ts";

export type Standing =
  | { readonly kind: "works" }
  | { readonly kind: "no effect" | "refused"; readonly why: string };

const WORKS: Standing = { kind: "works" };
const refused = (why: string): Standing => ({ kind: "refused", why });

const loading = [
  ...["NewModelOptions", "CheckpointOptions", "ConfigOverrides"],
  ...["HubPlaceOptions", "ModelPlaceOptions", "Variant"],
];

const asks: Readonly<Record<Place, (name: string) => Standing | Promise<Standing>>> = {
  // It keeps every field that it is given; which of them act, the tests say.
  MistralConfig: (name) =>
    name in new mistral.MistralConfig({ [name]: null }) ||
    name in mistral.MistralConfig ||
    declaredOptions("MistralConfigOptions").has(name)
      ? WORKS
      : refused("no such field"),
  forward: (name) =>
    byDeclaration(name, [
      ...["ForwardInputs", "CausalLMInputs"],
      ...["SequenceClassificationInputs", "TokenClassificationInputs", "QuestionAnsweringInputs"],
    ]),
  from_pretrained: (name) => {
    const said = heard(() => checkLoadOptions("", { [name]: true }));
    if (said.warning?.includes(`${name} has no effect: `)) {
      return { kind: "no effect", why: said.warning.replace(/^.*? has no effect: /, "") };
    }
    if (declaredOptions(...loading).has(name)) return byDeclaration(name, loading);
    return said.error === undefined
      ? WORKS
      : refused(said.error.replace(new RegExp(`^(?:: )?(?:${name}: )?`), ""));
  },
  save_pretrained: (name) => byDeclaration(name, ["SaveOptions"]),
  generate: (name) => {
    const field = fields.get(name);
    return field === undefined ? askGenerate(name) : ofField(field.standing);
  },
  BitsAndBytesConfig: (name) => byDeclaration(name, ["BitsAndBytesOptions"]),
  tokenizer: (name) => byDeclaration(name, ["PadOptions", "TokenizerOptions"]),
  PreTrainedTokenizer: (name) => ofMember(name, mistral.PreTrainedTokenizer.prototype),
  apply_chat_template: (name) => byDeclaration(name, ["ChatTemplateOptions"]),
  TextStreamer: (name) =>
    name in mistral.TextIteratorStreamer.prototype
      ? WORKS
      : byDeclaration(name, [
          ...["DecodeOptions", "TextStreamerOptions", "TextIteratorStreamerOptions"],
        ]),
  DynamicCache: (name) => ofMember(name, mistral.DynamicCache.prototype),
  "text-generation": (name) =>
    byDeclaration(name, ["GenerationOptions", "TextGenerationOptions", "PipelineCallOptions"]),
  "text-classification": (name) => byDeclaration(name, ["TextClassificationOptions"]),
  "token-classification": (name) => byDeclaration(name, ["TokenClassificationOptions"]),
  "question-answering": (name) => byDeclaration(name, ["QuestionAnsweringOptions"]),
  "feature-extraction": (name) => byDeclaration(name, ["FeatureExtractionOptions"]),
  package: (name) => ofMember(name, mistral),
};

/** How the code stands to a name of a place. */
export async function standingOf(place: Place, name: string): Promise<Standing> {
  return asks[place](name);
}

function ofMember(name: string, owner: object): Standing {
  return name in owner ? WORKS : refused("there is no such method or class");
}

function byDeclaration(name: string, types: readonly string[]): Standing {
  const options = declaredOptions(...types);
  const text = options.get(name);
  if (text === undefined) {
    const { error = "" } = heard(() => checkOptions("", { [name]: true }, new Set(options.keys())));
    return refused(error.replace(/^: /, ""));
  }
  const only = /^Only `(\w+)`, the default: (.*)\.$/.exec(text);
  if (only !== null) return refused(`only ${only[1]}: ${only[2]}`);
  const idle = /^(?:Accepted, and changes nothing|No effect here)[:,]?\s*(.*)/.exec(text);
  if (idle === null) return WORKS;
  const why = idle[1].replace(/ Default [^.]*\.$/, "").replace(/\.$/, "");
  return { kind: "no effect", why };
}

function ofField(standing: string): Standing {
  if (standing === "honoured") return WORKS;
  if (standing === "note") return { kind: "no effect", why: "a note in files" };
  const [kind, ...why] = standing.split(": ");
  return { kind: kind === "no effect" ? kind : "refused", why: why.join(": ") };
}

/** Options beside the settings are checked before the model is looked at, so that none is needed. */
async function askGenerate(name: string): Promise<Standing> {
  if (declaredOptions("GenerateInputs", "GenerateSettings", "GenerateOptions").has(name))
    return WORKS;
  const nobody = {} as Parameters<typeof generate>[0];
  try {
    await generate(nobody, { [name]: true } as object, {});
  } catch (error) {
    if (error instanceof mistral.InputError)
      return refused(error.message.replace("generate: ", ""));
    throw error;
  }
  return WORKS;
}

/** The error or the warning that a call gives. */
function heard(call: () => void): { error?: string; warning?: string } {
  const { warn } = console;
  let warning: string | undefined;
  console.warn = (text: string) => (warning = text);
  try {
    call();
    return { warning };
  } catch (error) {
    return { error: (error as Error).message };
  } finally {
    console.warn = warn;
  }
}
