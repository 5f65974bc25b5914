// GenerationConfig: every setting of generate() as data, made in code or from the object in generation_config.json.
// resolve-generation.ts merges the settings of one call. Opens no files.

import { checkOptions } from "../did-you-mean.ts";
import { CheckpointError, InputError } from "../errors.ts";
import { fieldNames, fields } from "./generation-fields.ts";
import { showValue } from "../show-value.ts";
import type { GenerationFields, GenerationOptions } from "./generation-options.ts";

export type { GenerationOptions } from "./generation-options.ts";

const EXTRA_OUTPUTS = [
  "output_attentions",
  "output_hidden_states",
  "output_scores",
  "output_logits",
] as const;

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the constructor makes the fields that the type lists
export interface GenerationConfig extends GenerationFields {}

/**
 * Settings of generate(); `GenerationOptions` describes them. Every field is null when unset; fields can be assigned and are checked when
 * generate() is called. A field that this engine does not act on is refused there, with the reason, when its value would change anything.
 */
export class GenerationConfig {
  readonly #extra = new Map<string, unknown>();
  #file: string | null = null;

  /** @throws InputError an unknown option, or a value that the field cannot have */
  constructor(options: GenerationOptions = {}) {
    for (const name of fieldNames) Object.assign(this, { [name]: null });
    checkOptions("GenerationConfig", options, fieldNames);
    checkValues(options, (text) => new InputError(`GenerationConfig: ${text}`));
    this.#assign(options);
  }

  /**
   * From the object in generation_config.json, whose unknown keys are kept, or from the one in config.json, of which only
   * the settings of generation are taken. @throws CheckpointError naming `file` and the field
   */
  static fromFile<T extends GenerationConfig>(
    this: new () => T,
    file: string,
    values: Record<string, unknown>,
    kind: "generation_config" | "config" = "generation_config",
  ): T {
    // Whether a call will sample is not known yet: the ranges of what only sampling reads are checked by the call.
    for (const { name, value, expected, idle } of misfits(values, {
      ...values,
      do_sample: false,
    })) {
      if (idle) continue;
      throw new CheckpointError(
        `${file}: ${name} is ${showValue(value)}, expected ${expected}; correct the file or take the publisher's`,
      );
    }
    const config = new this();
    config.#file = file;
    config.#assign(values as GenerationOptions);
    if (kind === "config") {
      Object.assign(config, { _from_model_config: true, transformers_version: null });
      // As Transformers does: these flags ask for a result that can hold more than ids.
      if (EXTRA_OUTPUTS.some((name) => config[name])) config.return_dict_in_generate = true;
    } else
      for (const [key, value] of Object.entries(values))
        if (!fieldNames.has(key)) config.#extra.set(key, value);
    return config;
  }

  /** Keys of a file that no field has; kept and written back. */
  get extra(): ReadonlyMap<string, unknown> {
    return this.#extra;
  }

  /** The file that it was read from; null if it was made in code. */
  get file(): string | null {
    return this.#file;
  }

  /** The fields that are set, and the keys that no field has, as plain data: what belongs into a file. */
  to_diff_dict(): Record<string, unknown> {
    const set = Object.entries(this).filter(([, value]) => value !== null);
    return structuredClone(Object.fromEntries([...set, ...this.#extra]));
  }

  /** Every field, as plain data. */
  to_dict(): Record<string, unknown> {
    return structuredClone(Object.fromEntries([...Object.entries(this), ...this.#extra]));
  }

  /** generation_config.json's text: keys sorted, two spaces. */
  to_json_string(): string {
    const entries = Object.entries(this.to_diff_dict()).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`;
  }

  #assign(options: GenerationOptions): void {
    for (const [name, value] of Object.entries(options)) {
      if (fieldNames.has(name) && value !== undefined)
        Object.assign(this, { [name]: structuredClone(value) });
    }
  }
}

/** Refuses values that a field cannot have, given in code: also where they would have no effect. */
export function checkValues(values: object, error: (text: string) => Error): void {
  for (const { name, value, expected } of misfits(values)) {
    throw error(`${name} is ${showValue(value)}, expected ${expected}`);
  }
}

/** The values that their fields cannot have, and whether they have no effect in a call with these settings. */
export function* misfits(
  values: object,
  settings = values as Readonly<Record<string, unknown>>,
): Generator<{ name: string; value: unknown; expected: string; idle: boolean }> {
  for (const [name, { check, isIdle }] of fields) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (value === undefined || value === null) continue;
    const expected = check(value);
    if (expected === undefined) continue;
    yield { name, value, expected, idle: isIdle(value, settings) !== false };
  }
}
