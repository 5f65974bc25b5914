// How a built-in function, method, filter or test gets its parameters from the arguments of a call, with Python's error messages.
// Knows nothing of what is called.

import { TemplateError } from "../../errors.ts";
import type { Arguments, Value } from "./values.ts";

/** What a parameter got; undefined where nothing was given. */
export type Given = (Value | undefined)[];

/**
 * The values of the parameters, in order. A parameter whose name ends in `?` may be left out; one with a `/`, and those before it,
 * cannot be given by name.
 * @throws TemplateError too many arguments, a missing one, an unknown name
 */
export function bind(where: string, parameters: readonly string[], args: Arguments): Given {
  const names = parameters.map((parameter) => parameter.replace(/[/?]+$/, ""));
  if (args.positional.length > names.length) {
    throw new TemplateError(
      `${where}() takes at most ${names.length} argument${names.length === 1 ? "" : "s"} (${args.positional.length} given)`,
    );
  }
  const given: Given = [...args.positional];
  for (const [name, value] of args.keywords) {
    const index = names.indexOf(name);
    if (index === -1 || parameters.findLastIndex((one) => one.includes("/")) >= index)
      throw new TemplateError(`${where}() got an unexpected keyword argument '${name}'`);
    if (index < args.positional.length)
      throw new TemplateError(`${where}() got multiple values for argument '${name}'`);
    given[index] = value;
  }
  for (const [index, parameter] of parameters.entries()) {
    if (given[index] === undefined && !parameter.endsWith("?")) {
      throw new TemplateError(
        `${where}() missing 1 required positional argument: '${names[index]}'`,
      );
    }
  }
  return given;
}
