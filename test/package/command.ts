// Runs a command for the package's tests: to the end, with what it printed, in the surroundings of a user rather than of npm test.

import { spawn } from "node:child_process";
import { join } from "node:path";

export const root: string = join(import.meta.dirname, "../..");

export type Finished = { code: number | null; stdout: string; stderr: string };

/** Ends with the command's exit code; there is no terminal, standard input is `input` (default: empty), `env` is added to the environment. */
export function run(
  command: string,
  args: readonly string[],
  {
    cwd = root,
    input = "",
    env = {},
  }: { cwd?: string; input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...surroundings(), ...env } });
    const finished: Finished = { code: null, stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (finished.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (finished.stderr += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ ...finished, code }));
    child.stdin.on("error", () => {}); // a command that does not read its input closes the pipe
    child.stdin.end(input);
  });
}

/** The same, where anything but success is an error with all that was printed. */
export async function succeed(...call: Parameters<typeof run>): Promise<Finished> {
  const finished = await run(...call);
  if (finished.code === 0) return finished;
  const [command, args] = call;
  throw new Error(
    `${command} ${args.join(" ")} ended with ${finished.code}\n${finished.stdout}\n${finished.stderr}`,
  );
}

/** Without what npm and vitest add to the environment; the project's Node first in PATH. */
function surroundings(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|VITEST|NODE_|TEST$|INIT_CWD$|MISTRAL_)/i.test(name),
  );
  const path = [join(root, "node_modules/.bin"), process.env.PATH].join(":");
  return { ...Object.fromEntries(kept), PATH: path };
}
