// The share of prompts in a step, on a simulated machine: a step takes `fixed` milliseconds, and some for each row of either kind.

import { describe, expect, test } from "vitest";
import { PrefillShare } from "../../src/engine/prefill-share.ts";

type Machine = { readonly fixed: number; readonly decode: number; readonly row: number };

/** Runs steps that have prompts to read, beside so many rows that decode. @returns their milliseconds, and rows of prompts */
function steps(
  share: PrefillShare,
  machine: Machine,
  decoding: number,
  count: number,
): [number, number][] {
  return Array.from({ length: count }, () => {
    const prompts = share.rows(decoding);
    const time = machine.fixed + machine.decode * decoding + machine.row * prompts;
    share.measured(prompts, decoding, time);
    return [time, prompts];
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((a, b) => a + b, 0) / values.length;

describe("the share of prompts", () => {
  test("fills the budget, from the first steps on, whatever the machine", () => {
    for (const machine of [
      { fixed: 2, decode: 0.1, row: 0.5 },
      { fixed: 20, decode: 1, row: 3 },
      { fixed: 5, decode: 0.01, row: 0.05 },
    ]) {
      const share = new PrefillShare(512);
      share.measured(512, 0, machine.fixed + 512 * machine.row);
      const ran = steps(share, machine, 4, 40);
      expect(Math.max(...ran.map(([time]) => time))).toBeLessThanOrEqual(100);
      const rows = ran.map(([, prompts]) => prompts).filter((prompts) => prompts > 0);
      const room = 75 - machine.fixed - 4 * machine.decode;
      expect(mean(rows)).toBeGreaterThan(0.9 * Math.min(512, Math.floor(room / machine.row)) - 1);
    }
  });

  test("where a step that decodes takes longer than the budget, prompts go on", () => {
    const share = new PrefillShare(512);
    const machine = { fixed: 150, decode: 1, row: 10 };
    // Two calls came together: the first one decodes now, and no step has decoded alone.
    share.measured(512, 0, 150 + 512 * 10);
    const ran = steps(share, machine, 1, 60);
    expect(mean(ran.map(([, prompts]) => prompts))).toBeGreaterThan(12);
    expect(Math.max(...ran.map(([time]) => time))).toBeLessThanOrEqual(2 * 151);
  });

  test("follows when many more sequences decode, though prompts never end", () => {
    const share = new PrefillShare(512);
    const machine = { fixed: 5, decode: 0.8, row: 0.5 };
    share.measured(512, 0, 5 + 512 * 0.5);
    steps(share, machine, 1, 20);
    const later = steps(share, machine, 30, 80).slice(50);
    expect(mean(later.map(([, prompts]) => prompts))).toBeGreaterThan(60);
    expect(Math.max(...later.map(([time]) => time))).toBeLessThanOrEqual(100);
  });

  test("short prompts and forward calls of one row do not make rows look dear", () => {
    const share = new PrefillShare(512);
    const machine = { fixed: 30, decode: 0.5, row: 0.5 };
    share.measured(512, 0, 30 + 512 * 0.5);
    steps(share, machine, 1, 20);
    for (let i = 0; i < 20; i++) share.measured(1, 0, 30.5);
    expect(share.rowsApart(1)).toBeGreaterThan(60);
  });

  test("one slow step is forgotten", () => {
    const share = new PrefillShare(512);
    const machine = { fixed: 2, decode: 0.1, row: 0.5 };
    share.measured(512, 0, 258);
    steps(share, machine, 2, 10);
    const before = share.rowsApart(2);
    share.measured(before, 2, 5000);
    expect(share.rowsApart(2)).toBeLessThan(4);
    steps(share, machine, 2, 20);
    expect(share.rowsApart(2)).toBe(before);
  });

  test("a step of prompts alone has at least one row, also when the next one is to decode alone", () => {
    const share = new PrefillShare(512);
    expect([share.rows(1), share.rowsApart(1), share.rows(0)]).toEqual([0, 8, 512]);
  });
});
