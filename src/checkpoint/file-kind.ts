// What a file is that is not what its name says, from its first bytes. Knows no more of those formats.

const STARTS: readonly (readonly [start: string, kind: string])[] = [
  ["GGUF", "it is a GGUF file: give it a name that ends in .gguf and load that"],
  [
    "PK\u0003\u0004",
    "it is a zip archive, such as PyTorch's .bin files are: fetch the safetensors files of the model",
  ],
  [
    "\u0080\u0002",
    "it is a Python pickle under another name, which is never loaded: fetch the safetensors files of the model",
  ],
  ["\u001f\u008b", "it is compressed by gzip: unpack it first"],
  ["\u0028\u00b5\u002f\u00fd", "it is compressed by zstd: unpack it first"],
  ["\u0089HDF", "it is an HDF5 file: fetch the safetensors files of the model"],
  ["\u00ff\u00fe", "it is text in UTF-16: save it as UTF-8"],
  ["\u00fe\u00ff", "it is text in UTF-16: save it as UTF-8"],
];

const MOST = 64;

/** What the file is and what to do; undefined if its beginning says nothing. @param start at least the first 8 bytes of the file */
export function fileKind(start: Uint8Array): string | undefined {
  const text = String.fromCharCode(...start.subarray(0, MOST));
  const known = STARTS.find(([begin]) => text.startsWith(begin));
  if (known !== undefined) return known[1];
  if (/^\s*<(!doc|html|head|\?xml)/i.test(text))
    return "it is a web page, about the file or about an error: fetch the file itself";
  return undefined;
}
