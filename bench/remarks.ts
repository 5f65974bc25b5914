// What figures mean, in sentences: what limits each, as profiles show. Written by hand, by the folder of the kind of machine; to be read
// again whenever figures change.

type Remarks = Readonly<Record<string, string>>;

export const fewBits: Remarks = {
  "avx512-vnni": `q4 reads prompts at the same speed with and without V8's flag: machine code computes the products on both. Decode of q4 at 4 layers
comes in two speeds that change from turn to turn, about 53 and 73 tokens/s (30 and 41 GB/s of weights), with the flag and without; the
cause is not known, so medians of three rounds may be either. At 32 layers (one round) llama.cpp and mistral.ts read 29 to 31 GB/s of
weights alike, and the goal for decode is missed.`,
};

export const scaling: Remarks = {};

export const loading: Remarks = {};

export const models: Remarks = {
  "avx512-vnni": `With V8's flag the products are WebAssembly's here: machine code for plain weights was not chosen at the start, where it is timed with
16 rows. Without the flag it was chosen, and prompts are read faster than with the flag.`,
};

export const ops: Remarks = {
  avx2: `Where we are behind, and why: the prefill of Mistral-7B's shape is \`linear\` to 98 %. WebAssembly's vectors have 128 bits, whose
multiply-adds give half of what this processor can; V8's flag joins pairs of them into 256 bits, and then the inner loop is
what a compiler of native code would write (12 multiply-adds, 8 loads): 75 to 77 GFLOPS a core on data in its cache, 65 to 72 in
the model. PyTorch and ONNX Runtime reach 75 and 85 there with hand-written AVX2. Decode is at the memory's speed on all sides.`,
};
