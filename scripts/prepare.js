// npm runs this (`prepare`) when the package is installed from git or from a folder, and at every `npm ci` in a clone. It builds dist/
// for the first two: they have no other step that would. JavaScript for any Node, as the project's own may not be installed.

import { execSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const has = (path) => existsSync(join(root, path));

// In a clone npm's project is this folder, and its programs run from src/.
const isClone = process.env.npm_config_local_prefix === root;
const canBuild = has("node_modules/.bin/tsdown"); // not after `npm install --omit=dev`
if (!isClone && canBuild && !has("dist/index.js")) {
  execSync("npm run --silent build", { cwd: root, stdio: "inherit" });
}
