// Which modules stay unquantised, given a list of names. The rule is Transformers': a name, which may be a regular expression, matches a
// module whose name ends with it, equals it, or begins with it and a dot.

import { InputError } from "../errors.ts";

/** Whether one of the names matches the module. @param module such as "model.layers.0.mlp.up_proj" */
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
