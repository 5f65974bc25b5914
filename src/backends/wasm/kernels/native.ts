// Calls of machine code, which computes what WebAssembly has no instructions for; see ../native-choice.ts.

/** Runs machine code. `call`: the address in the process (not in the memory) of 64-bit words, of which word 0 chooses the kernel. */
// @ts-ignore: decorator
@external("env", "native")
declare function native(call: f64): void;

/** For tests: the call alone. */
export function call_native(call: f64): void {
  native(call);
}
