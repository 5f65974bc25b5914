// A promise where its value was meant, since an `await` is missing. Knows none of the functions that take the value.

import { InputError } from "../errors.ts";

/** @param where the function that got the value. @throws InputError it is a promise */
export function refusePromise(where: string, value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if ("then" in value && typeof value.then === "function")
    throw new InputError(`${where}: got a Promise; write await before it`);
}
