// What other threads do with what the CPU backend hands over: stop its programs, say that a helper is gone, help.
// Small, since the caller's thread loads it too: knows no programs and no plans.

import type { TeamControl } from "../backend.ts";
import type { Adopted } from "./backend.ts";
import { helperGone, type HelperData, helperMain, stopTeam } from "./threads.ts";

export const wasmTeamControl: TeamControl = {
  stop(state) {
    const { memories, control } = state as Adopted;
    stopTeam(memories, control);
  },
  helperGone(state, helper) {
    const { memories, control } = state as Adopted;
    helperGone(memories, control, helper + 1); // thread 0 is the leader
  },
  help: (data) => helperMain(data as HelperData),
};
