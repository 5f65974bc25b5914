// Settings of the library that belong to the process, not to one call.

/** Settings of the process. Set them before the first model is loaded. */
export const env: {
  wasm: {
    /**
     * Lets V8 pair 128-bit operations of our kernels into 256-bit ones (Node's `--experimental-wasm-revectorize`): up to 1.9 times
     * faster prefill, the same bits. A flag of the whole process, so the library never sets it unless asked; the `mistral`
     * command does. Default false.
     */
    revectorize: boolean;
    /** Threads when a call to from_pretrained does not say; default: physical cores. */
    threads: number | undefined;
  };
} = { wasm: { revectorize: false, threads: undefined } };
