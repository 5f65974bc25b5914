// What filters, tests and global functions may ask of the rendering that calls them. Knows none of them.

import type { Budget } from "./budget.ts";
import type { Arguments, Value } from "./values.ts";

export type Runtime = {
  readonly budget: Budget;
  /** Applies a filter by name. @throws TemplateError no such filter */
  filter(name: string, value: Value, args: Arguments): Value;
  /** Applies a test by name. @throws TemplateError no such test */
  test(name: string, value: Value, args: Arguments): boolean;
};

export type Filter = (value: Value, args: Arguments, runtime: Runtime) => Value;
export type Test = (value: Value, args: Arguments, runtime: Runtime) => boolean;
