// The settings of a packed checkpoint: finds them (in config.json, or in a file beside it), and reads single ones under any of their
// names, with errors that name the setting and the values that are read. Does not know what a setting means.

import { exists, joinPath } from "#platform";
import { CheckpointError } from "../../errors.ts";
import { readJsonObject } from "../json-file.ts";

export type Settings = Readonly<Record<string, unknown>>;

/** Files beside config.json that older tools wrote, and the method that such a file means if it names none. */
const SIDE_FILES: readonly (readonly [file: string, method: string])[] = [
  ["quantize_config.json", "gptq"],
  ["quant_config.json", "awq"],
];

/**
 * Finds the quantisation settings of a model's folder: `quantization_config` of config.json, or its older name `compression_config`,
 * else the file quantize_config.json (GPTQ) or quant_config.json (AWQ). The result has a `quant_method` where the place implies one.
 * Undefined: there are no settings.
 *
 * @throws CheckpointError settings that are no object, a side file that is no JSON
 */
export async function findQuantizationSettings(
  folder: string,
  config: Settings,
): Promise<Record<string, unknown> | undefined> {
  for (const key of ["quantization_config", "compression_config"]) {
    const settings = config[key];
    if (settings === undefined || settings === null) continue;
    if (!isObject(settings)) {
      throw new CheckpointError(
        `${folder}: ${key} of config.json is ${shownValue(settings)}, expected an object with quant_method`,
      );
    }
    const method = key === "compression_config" ? "compressed-tensors" : undefined;
    return { ...(method && { quant_method: method }), ...settings };
  }
  for (const [file, method] of SIDE_FILES) {
    const path = joinPath(folder, file);
    if (await exists(path)) return { quant_method: method, ...(await readJsonObject(path)) };
  }
  return undefined;
}

/** Reads the settings of one method, and refuses values that the method's reader does not support. */
export class SettingsReader {
  readonly #where: string;
  readonly #settings: Settings;

  /** @param where what every message begins with: the folder, and whose settings these are */
  constructor(where: string, settings: Settings) {
    this.#where = where;
    this.#settings = settings;
  }

  /** The value of a setting, which may have several names. @throws CheckpointError two of the names have different values */
  value(...names: readonly string[]): unknown {
    const given = names.filter((name) => (this.#settings[name] ?? null) !== null);
    const values = given.map((name) => this.#settings[name]);
    const other = values.findIndex((value) => !sameValue(value, values[0]));
    if (other > 0) {
      throw new CheckpointError(
        `${this.#where}: ${given[0]} is ${shownValue(values[0])}, but ${given[other]} is ${shownValue(values[other])}; remove the wrong one`,
      );
    }
    return values[0];
  }

  /** A whole number, or undefined if absent. @throws CheckpointError something else */
  whole(...names: readonly string[]): number | undefined {
    const value = this.value(...names);
    if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value))) {
      return value;
    }
    throw this.refuse(names[0], value, "a whole number");
  }

  /** True or false, or undefined if absent. @throws CheckpointError something else */
  flag(...names: readonly string[]): boolean | undefined {
    const value = this.value(...names);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.refuse(names[0], value, "true or false");
  }

  /** One of these words, in upper or lower case; the first word if absent. @throws CheckpointError another value */
  word<Word extends string>(words: readonly Word[], ...names: readonly string[]): Word {
    const value = this.value(...names);
    if (value === undefined) return words[0];
    const found = words.find((word) => typeof value === "string" && word === value.toLowerCase());
    if (found === undefined) {
      throw this.refuse(names[0], value, words.map((word) => JSON.stringify(word)).join(" or "));
    }
    return found;
  }

  /** Refuses any value but these; the setting may be absent. `why` says in the message what other values mean. @throws CheckpointError */
  only(name: string, allowed: readonly unknown[], why: string): void {
    const value = this.value(name);
    if (value === undefined || allowed.some((one) => sameValue(one, value))) return;
    throw new CheckpointError(
      `${this.#where}: ${name} is ${shownValue(value)}: ${why}, which is not read here; use another checkpoint of this model`,
    );
  }

  /** Refuses any number of bits but 4. @throws CheckpointError */
  fourBits(...names: readonly string[]): void {
    const bits = this.whole(...names);
    if (bits === 4) return;
    const came = bits === undefined ? "missing" : `${bits}`;
    throw new CheckpointError(
      `${this.#where}: ${names[0]} is ${came}; packed weights are read with 4 bits only: use a 4-bit checkpoint of this model, or the unquantised one`,
    );
  }

  /** How many columns share a scale; -1: all columns of a row. @throws CheckpointError something else */
  groupSize(fallback: number | undefined, ...names: readonly string[]): number {
    const size = this.whole(...names) ?? fallback;
    if (size !== undefined && (size === -1 || size > 0)) return size;
    throw this.refuse(names[0], size, "the columns of a group, or -1 for all columns");
  }

  /** A setting that is an object of settings, or undefined if absent. @throws CheckpointError no object */
  object(name: string): SettingsReader | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.refuse(name, value, "an object");
    return new SettingsReader(`${this.#where}: ${name}`, value);
  }

  /** A list of words; empty if absent. @throws CheckpointError something else */
  words(name: string): readonly string[] {
    const value = this.value(name) ?? [];
    if (Array.isArray(value) && value.every((word) => typeof word === "string")) return value;
    throw this.refuse(name, value, "a list of names");
  }

  /** Names of all settings that have a value. */
  names(): readonly string[] {
    return Object.keys(this.#settings).filter((name) => (this.#settings[name] ?? null) !== null);
  }

  /** The error for a setting whose value is not supported. */
  refuse(name: string, value: unknown, expected: string): CheckpointError {
    return new CheckpointError(
      `${this.#where}: ${name} is ${shownValue(value)}, expected ${expected}; is this the settings file of these weights?`,
    );
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a)?.toLowerCase() === JSON.stringify(b)?.toLowerCase();
}

function shownValue(value: unknown): string {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
