// Instances that can be called: `model(inputs)` and `tokenizer(text)`, as in Transformers.

/**
 * A base class whose instances are functions: calling one calls its `_call`. Fields, private ones included, and methods work
 * as in any class. (The constructor returns a function with the class's prototype, so that is what `this` is from then on.)
 */
export abstract class Callable<Args extends unknown[], Result> {
  constructor() {
    const instance: Callable<Args, Result> = Object.setPrototypeOf(
      (...args: Args): Result => instance._call(...args),
      new.target.prototype,
    );
    return instance;
  }

  /** What calling the instance does. */
  abstract _call(...args: Args): Result;
}
