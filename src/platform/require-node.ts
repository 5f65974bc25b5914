// Imported first by index.ts: ends the loading of the library under a Node that is too old, before a function is missed that it lacks.

import { EngineError } from "../errors.ts";
import { oldNode } from "./node-version.ts";

const wrong = oldNode();
if (wrong !== undefined) throw new EngineError(`@mistral-ts/mistral: ${wrong}`);
