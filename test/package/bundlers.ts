// Bundles a program with esbuild, webpack or vite, as their users do: for Node with this package as external or not, or for a browser.

import { join } from "node:path";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import webpack from "webpack";

/** How a program is bundled: for which target, and whether `external` stays in node_modules. */
export type Bundle = {
  entry: string;
  outFile: string;
  browser: boolean;
  external: string | undefined;
};

/** Builds, and gives the text of all errors: empty if there are none. The program is JavaScript. */
export type Bundler = (bundle: Bundle) => Promise<string>;

export const BUNDLERS: Readonly<Record<string, Bundler>> = {
  async esbuild({ entry, outFile, browser, external }) {
    return errorsOf(
      esbuild({
        ...{ entryPoints: [entry], outfile: outFile, bundle: true, format: "esm" },
        ...{ platform: browser ? "browser" : "node", target: "esnext", logLevel: "silent" },
        external: external === undefined ? [] : [external],
      }),
    );
  },

  async webpack({ entry, outFile, browser, external }) {
    const compiler = webpack({
      ...{ mode: "production", entry, target: browser ? "web" : "node", devtool: false },
      output: {
        ...{ path: join(outFile, ".."), filename: outFile.split("/").at(-1), module: true },
        chunkFormat: "module",
      },
      experiments: { outputModule: true },
      externalsType: "module",
      externals: external === undefined ? [] : [external],
    });
    return errorsOf(
      new Promise((resolve, reject) => {
        compiler.run((error, stats) => {
          const wrong =
            error ?? (stats?.hasErrors() === true ? stats.toString("errors-only") : null);
          if (wrong === null) resolve(undefined);
          else reject(wrong instanceof Error ? wrong : new Error(wrong));
        });
      }),
    );
  },

  async vite({ entry, outFile, browser, external }) {
    const [outDir, name] = [join(outFile, ".."), outFile.split("/").at(-1)];
    return errorsOf(
      vite({
        ...{ root: join(entry, ".."), configFile: false, logLevel: "silent" },
        ssr: external === undefined ? { noExternal: true } : { external: [external] },
        build: {
          ...{ outDir, emptyOutDir: false, target: "esnext" },
          ssr: !browser,
          rollupOptions: { input: entry, output: { entryFileNames: name, format: "es" } },
        },
      }),
    );
  },
};

async function errorsOf(building: Promise<unknown>): Promise<string> {
  try {
    await building;
    return "";
  } catch (error) {
    return String(error);
  }
}
