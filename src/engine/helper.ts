// A helper thread of a backend: a worker that takes part in the programs of another one, for as long as it lives.

import { parent } from "#platform";
import { type HelperStart, teamControl } from "./backends.ts";

const { backend, data } = (await parent()).data as HelperStart;
teamControl(backend).help(data);
