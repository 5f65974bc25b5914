// Settings that belong to the process, not to one call. Knows no model.

/** Settings of the process. Set them before the first model is loaded. */
export const env: {
  wasm: {
    /**
     * Lets V8 join pairs of 128-bit operations in kernels to 256-bit ones (Node's `--experimental-wasm-revectorize`): prefill becomes
     * up to 1.9 times faster, results stay the same bit for bit. It is a flag of the whole process, so the library does not set it
     * unless asked; the command `mistral` does. Default false.
     */
    revectorize: boolean;
    /** How many threads compute unless from_pretrained is told. Default: the number of physical cores. */
    threads: number | undefined;
  };
} = { wasm: { revectorize: false, threads: undefined } };
