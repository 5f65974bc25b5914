// A helper thread of a backend: a worker that takes part in the programs of another one, until it is ended.

import { parent } from "#platform";
import { type HelperStart, teamControl } from "./backends.ts";

const { backend, data } = (await parent()).data as HelperStart;
teamControl(backend).help(data);
