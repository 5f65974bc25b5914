// The names that config.json has for activations → the activations of the op glu. Does not know how they are computed.

import { unknownName } from "../did-you-mean.ts";
import { CheckpointError } from "../errors.ts";
import type { Activation } from "../ops/glu.ts";

const activations: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
};

/** The activation of `hidden_act`. @throws CheckpointError a name that is not known; checkConfig adds where the config is from */
export function activation(hiddenAct: string): Activation {
  if (Object.hasOwn(activations, hiddenAct)) return activations[hiddenAct];
  const known = Object.keys(activations);
  throw new CheckpointError(
    `hidden_act: ${unknownName("activation", hiddenAct, known)} (known: ${known.join(", ")})`,
  );
}
