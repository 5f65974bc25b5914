// The progress of a download: bytes of a file and of all, speed over the last seconds, time left. The clock is the test's.

import { expect, test } from "vitest";
import { type DownloadProgress, Meter } from "../../src/hub/meter.ts";
import { ID, someBytes, workplace } from "./workplace.ts";

const files = new Map([
  ["a", 1000],
  ["b", 3000],
  ["c", 500],
]);

test("bytes, speed and time left", () => {
  let now = 0;
  const reports: DownloadProgress[] = [];
  const meter = new Meter(
    files,
    ["c"],
    (report) => reports.push(report),
    () => now,
  );
  meter.begin("b", 600);
  expect(reports.at(-1)).toEqual({
    ...{ file: "b", fileLoaded: 600, fileTotal: 3000, loaded: 1100, total: 4500 },
    ...{ bytesPerSecond: 0, secondsLeft: undefined, resumed: 600 },
  });
  now = 1000;
  meter.add("b", 400);
  expect(reports.at(-1)).toMatchObject({
    fileLoaded: 1000,
    loaded: 1500,
    bytesPerSecond: 400,
    secondsLeft: 7.5,
  });
  now = 1050;
  meter.add("a", 1000); // too soon after the last report
  expect(reports.length).toBe(2);
  meter.end("a");
  expect(reports.at(-1)).toMatchObject({ file: "a", fileLoaded: 1000, loaded: 2500, resumed: 0 });
  now = 20_000;
  meter.add("b", 500); // after a long stall the speed is that of the last seconds
  expect(reports.at(-1)?.bytesPerSecond).toBeLessThan(50);
  meter.set("b", 0); // it has to be fetched anew
  meter.end("b");
  expect(reports.at(-1)).toMatchObject({ loaded: 4500, total: 4500, secondsLeft: 0 });
});

test("of a download: ends at the total, and resumed bytes are told", async () => {
  const { hub, snapshot } = await workplace();
  hub.add(ID, { files: { "a.bin": someBytes(200_000), "b.txt": "b" } });
  const reports: DownloadProgress[] = [];
  await snapshot({ onProgress: (report) => reports.push(report) });
  expect(reports.at(-1)).toMatchObject({ loaded: 200_001, total: 200_001 });
  expect(reports.every(({ loaded, total, file }) => loaded <= total && /^[ab]\./.test(file))).toBe(
    true,
  );
  const count = reports.length;
  await snapshot({ onProgress: (report) => reports.push(report) });
  expect(reports.length).toBe(count); // nothing was fetched
});
