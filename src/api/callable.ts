// Instances that can be called: `model(inputs)` and `tokenizer(text)`, as in Transformers. Knows neither of them.

/**
 * A base class whose instances are functions: calling an instance calls its `_call`. Methods and fields, private ones included, work
 * as in any class. (The constructor returns a function that has the class's prototype; in derived classes `this` is that function.)
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
