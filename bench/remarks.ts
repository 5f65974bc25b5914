// What figures mean, in sentences: what limits each, as profiles show. Written by hand, by the folder of the kind of machine; to be read
// again whenever figures change.

type Remarks = Readonly<Record<string, string>>;

export const fewBits: Remarks = {};

export const scaling: Remarks = {};

export const loading: Remarks = {};

export const models: Remarks = {};

export const ops: Remarks = {
  avx2: `Where we are behind, and why: the prefill of Mistral-7B's shape is \`linear\` to 98 %. WebAssembly's vectors have 128 bits, whose
multiply-adds give half of what this processor can; V8's flag joins pairs of them into 256 bits, and then the inner loop is
what a compiler of native code would write (12 multiply-adds, 8 loads): 75 to 77 GFLOPS a core on data in its cache, 65 to 72 in
the model. PyTorch and ONNX Runtime reach 75 and 85 there with hand-written AVX2. Decode is at the memory's speed on all sides.`,
};
