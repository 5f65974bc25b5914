// A helper thread: computes its part of the backend's programs together with the engine worker, until it is terminated.

import { parent } from "#platform";
import { type HelperStart, teamControl } from "./backends.ts";

const { backend, data } = (await parent()).data as HelperStart;
await teamControl(backend).help(data);
