// What other threads do with the CPU backend's handover: stop its programs, report that a helper is gone, or help.
// Kept small, since the caller's thread loads it too. Knows no programs and no plans.

import type { TeamControl } from "../backend.ts";
import { openLibrary } from "../native/open-library.ts";
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
  async help(data) {
    const helper = data as HelperData;
    const { machineCode } = helper;
    // If it cannot be opened, this thread ends, and the others compute without it.
    const library = machineCode === undefined ? undefined : await openLibrary(machineCode);
    helperMain(helper, library?.native);
  },
};
