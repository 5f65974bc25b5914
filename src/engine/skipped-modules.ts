// Which modules a list of names keeps from being quantised, by the rule of Transformers: a name matches a module when the module's
// name begins with it and goes on at a dot, or ends in it; it may be a regular expression.

import { InputError } from "../errors.ts";

/** Whether one of the names means the module, such as "model.layers.0.mlp.up_proj". */
export function isSkipped(module: string, names: readonly string[]): boolean {
  return names.some((name) => module.endsWith(name) || begins(name).test(module));
}

/** @throws InputError a name that is no regular expression */
export function checkSkippedModules(where: string, names: readonly string[]): void {
  for (const name of names) {
    try {
      begins(name);
    } catch (cause) {
      throw new InputError(
        `${where}: ${JSON.stringify(name)} is no regular expression; write a module's name, such as "lm_head"`,
        { cause },
      );
    }
  }
}

function begins(name: string): RegExp {
  return new RegExp(`^(?:${name})(?:(?<=\\.)|(?=\\.|$))`);
}
