// What reaches a terminal: nothing that steers it. And numbers as people read them.

import { expect, test } from "vitest";
import { bytes, duration, fitted, foreign, textWriter, visible } from "../../src/cli/terminal.ts";
import { fakeStream } from "./fake-stream.ts";

test.each([
  ["clear screen", "\u001b[2J", "\\x1b[2J"],
  ["clipboard by OSC 52", "\u001b]52;c;aGk=\u0007", "\\x1b]52;c;aGk=\\x07"],
  [
    "title and link by OSC 0 and 8",
    "\u001b]0;x\u001b\\\u001b]8;;http://e\u001b\\",
    "\\x1b]0;x\\x1b\\\\x1b]8;;http://e\\x1b\\",
  ],
  ["carriage return", "safe\rrm -rf", "safe\\x0drm -rf"],
  ["backspace and delete", "a\bb\u007f", "a\\x08b\\x7f"],
  ["C1 controls: CSI in one character", "\u009b31m\u0085", "\\x9b31m\\x85"],
  [
    "bidirectional override and isolate",
    "\u202egpj.exe\u2066\u2069",
    "\\u202egpj.exe\\u2066\\u2069",
  ],
  ["NUL and bell", "\u0000\u0007", "\\x00\\x07"],
])("%s is shown as text", (_what, from, to) => {
  expect(visible(from)).toBe(to);
});

test("newlines, tabs and every other script pass", () => {
  const text = "a\tb\n안녕 שלום 👩‍👩‍👧 é \u00a0";
  expect(visible(text)).toBe(text);
});

test("no control character but newline and tab survives", () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join("");
  expect(visible(all).match(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu)).toEqual(["\t", "\n"]);
});

test("a pipe gets the text as it is, a terminal does not", () => {
  expect(foreign(fakeStream({ isTTY: false }), "\u001b[1m")).toBe("\u001b[1m");
  expect(foreign(fakeStream({ isTTY: true }), "\u001b[1m")).toBe("\\x1b[1m");
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [6_304_200, "6.3 MB"],
  [99_949_999, "99.9 MB"],
  [999_600_000, "1.0 GB"],
  [14_483_464_192, "14.5 GB"],
])("%i bytes are %s", (count, text) => {
  expect(bytes(count)).toBe(text);
});

test.each([
  [0.0123, "12 ms"],
  [0.9996, "1.0 s"],
  [9.96, "10 s"],
  [59.4, "59 s"],
  [93.4, "1 min 33 s"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test("text of our own has its lines broken between words on a terminal, and nowhere else", () => {
  expect(fitted(fakeStream({ isTTY: true, columns: 9 }), "one two three\n")).toBe(
    "one two\nthree\n",
  );
  expect(fitted(fakeStream({ isTTY: false, columns: 9 }), "one two three\n")).toBe(
    "one two three\n",
  );
});

test("a model's text: on a terminal words wait until they are whole; a pipe gets each piece at once", async () => {
  for (const isTTY of [true, false]) {
    const stream = fakeStream({ isTTY, columns: 7 });
    const text = textWriter(stream);
    await text.write("one drag");
    expect(stream.text()).toBe(isTTY ? "one" : "one drag");
    await text.write("on\u001b");
    await text.end();
    expect(stream.text()).toBe(isTTY ? "one\ndragon\\x1b\n" : "one dragon\u001b\n");
  }
});
