// A helper thread of the CPU backend: a worker that waits for programs to run, for as long as it lives.

import { parent } from "#platform";
import { helperMain, type HelperData } from "../backends/wasm/threads.ts";

helperMain(parent().data as HelperData);
