// Machine code for nf4 and fp4 weights, on the compute paths int8 and fixed16, against the WebAssembly kernels: the same bits, of many rows
// and few, in any ranges, and nothing written beside a tensor.

import { NATIVE_FOUR_BIT } from "../../src/backends/wasm/kernels/header.ts";
import { seeded } from "../random.ts";
import { grid } from "./case.ts";
import { nativeContract } from "./native-contract.ts";
import * as fixed16 from "./packed-fixed16.ts";
import * as int8 from "./packed-nf4-int8.ts";

type Sizes = fixed16.Fixed16["sizes"];
const paths: Readonly<Record<string, typeof fixed16.multiply>> = {
  int8: int8.multiply,
  fixed16: fixed16.multiply,
};

const simulated: Sizes[] = [
  ...[
    { T: 1, K: 64, O: 1 },
    { T: 1, K: 192, O: 7 },
    { T: 1, K: 832, O: 18 },
  ],
  ...[2, 3, 5, 9, 12].map((T) => ({ T, K: 128, O: 15 + T })),
  { T: 14, K: 192, O: 17 },
];
const run = [
  ...grid({ T: [1, 2, 3, 4, 7, 12, 13, 25], K: [64, 448, 512, 576], O: [1, 5, 15, 16, 17, 35] }),
  ...[
    { T: 1, K: 4096, O: 70 },
    { T: 6, K: 4096, O: 70 },
    { T: 131, K: 256, O: 31 },
  ],
] as Sizes[];

nativeContract({
  family: NATIVE_FOUR_BIT,
  names: Object.keys(paths).flatMap((path) =>
    fixed16.formatNames.map((format) => `${format}:${path}`),
  ),
  simulated: () => simulated,
  run: () => run,
  products(name, sizes, wasm) {
    const [format, path] = name.split(":");
    const { T, K } = sizes;
    const given = fixed16.fixed16Case(format, sizes, seeded(sizes.O + 7 * K + T));
    if (T > 2) given.x.fill(0, K, 2 * K);
    if (T > 4) [given.x[3 * K], given.x[5 * K - 1]] = [Infinity, NaN];
    const multiply = paths[path];
    return {
      want: multiply(wasm, given),
      byMachineCode: (native) =>
        [
          { columns: 1, rows: 1 },
          { columns: 3, rows: 2 },
        ].map((cuts) => multiply(native, given, { ...cuts, native: true })),
    };
  },
});
