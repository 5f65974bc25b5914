// What the reader of a quantisation method gives. weight-source.ts finds the reader by the method's name.

import type { StoredWeight } from "../stored-weight.ts";

export type QuantizedWeights = {
  /** The weights that the method has packed, by their names in the model. */
  readonly weights: ReadonlyMap<string, StoredWeight>;
  /** Names of the checkpoint's tensors of which they are made: no other weight is read from them. */
  readonly used: ReadonlySet<string>;
};
