// A shared library for Linux on x64 (ELF, System V ABI) that has nothing but functions, as bytes. The loader of the system maps the code
// readable and executable, and the dynamic section, into which it writes, readable and writable: no page is both. There are no
// relocations, and no other libraries are needed. Does not know what the functions do.

const PAGE = 4096;
/** Code begins at a multiple of it, as its own labels expect. */
const CODE_ALIGN = 64;

// Sizes in bytes of ELF's structures: file header, program header, symbol, entry of the dynamic section.
const [FILE_HEADER, PROGRAM_HEADER, SYMBOL, DYNAMIC] = [64, 56, 24, 16];
const [SHARED_OBJECT, X86_64] = [3, 62];
const [PT_LOAD, PT_DYNAMIC, PT_GNU_STACK] = [1, 2, 0x6474e551];
const [READ_WRITE, READ_EXECUTE] = [6, 5];
const [DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT] = [4, 5, 6, 10, 11];
/** A function that other libraries may see. */
const GLOBAL_FUNCTION = 0x12;

/**
 * The file, whose addresses are offsets in it:
 *
 * | content                                        | mapped            |
 * | ---------------------------------------------- | ----------------- |
 * | file header, 4 program headers                 | read, executable  |
 * | symbols, hash table of one bucket, their names | with the headers  |
 * | code, at a multiple of 64                      | with the headers  |
 * | dynamic section, at a multiple of 4096         | read, write       |
 *
 * @param symbols where each function begins in `code`
 */
export function sharedLibrary(
  code: Uint8Array,
  symbols: Readonly<Record<string, number>>,
): Uint8Array<ArrayBuffer> {
  const names = Object.keys(symbols);
  const count = names.length + 1; // symbol 0 is none
  const strings = new TextEncoder().encode(`\0${names.join("\0")}\0`);
  const symbolsAt = FILE_HEADER + 4 * PROGRAM_HEADER;
  const hashAt = symbolsAt + count * SYMBOL;
  const stringsAt = hashAt + 4 * (3 + count);
  const codeAt = roundUp(stringsAt + strings.length, CODE_ALIGN);
  const codeEnd = codeAt + code.length;
  const dynamicAt = roundUp(codeEnd, PAGE);
  const dynamic = [
    ...[DT_HASH, hashAt],
    ...[DT_STRTAB, stringsAt],
    ...[DT_SYMTAB, symbolsAt],
    ...[DT_STRSZ, strings.length],
    ...[DT_SYMENT, SYMBOL],
    ...[0, 0],
  ];
  const dynamicBytes = (dynamic.length / 2) * DYNAMIC;
  const file = new Writer(dynamicAt + dynamicBytes);

  file.bytes(0, Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)); // ELF of 64 bits, the low byte first
  file.words16(16, SHARED_OBJECT, X86_64);
  file.words32(20, 1);
  file.words64(32, FILE_HEADER); // where the program headers are
  file.words16(52, FILE_HEADER, PROGRAM_HEADER, 4);
  const segments = [
    { type: PT_LOAD, flags: READ_EXECUTE, at: 0, bytes: codeEnd, align: PAGE },
    { type: PT_LOAD, flags: READ_WRITE, at: dynamicAt, bytes: dynamicBytes, align: PAGE },
    { type: PT_DYNAMIC, flags: READ_WRITE, at: dynamicAt, bytes: dynamicBytes, align: 8 },
    // Says that stacks need not be executable: without it, the loader would make them so.
    { type: PT_GNU_STACK, flags: READ_WRITE, at: 0, bytes: 0, align: 16 },
  ];
  for (const [i, { type, flags, at, bytes, align }] of segments.entries()) {
    const header = FILE_HEADER + i * PROGRAM_HEADER;
    file.words32(header, type, flags);
    file.words64(header + 8, at, at, at, bytes, bytes, align);
  }

  let name = 1;
  for (const [i, symbol] of names.entries()) {
    const at = symbolsAt + (i + 1) * SYMBOL;
    file.words32(at, name);
    file.words16(at + 4, GLOBAL_FUNCTION, 1);
    file.words64(at + 8, codeAt + symbols[symbol], 0);
    name += symbol.length + 1;
  }
  // One bucket: it holds the last symbol, each names the one before, and 0 ends the chain.
  file.words32(hashAt, 1, count, count - 1);
  file.words32(hashAt + 12, ...Array.from({ length: count }, (_, i) => Math.max(0, i - 1)));
  file.bytes(stringsAt, strings);
  file.bytes(codeAt, code);
  file.words64(dynamicAt, ...dynamic);
  return file.all;
}

/** Words of several sizes into one array, the low byte first. */
class Writer {
  readonly all: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(size: number) {
    this.all = new Uint8Array(size);
    this.#view = new DataView(this.all.buffer);
  }
  bytes(at: number, bytes: Uint8Array): void {
    this.all.set(bytes, at);
  }
  words16(at: number, ...words: readonly number[]): void {
    words.forEach((word, i) => this.#view.setUint16(at + 2 * i, word, true));
  }
  words32(at: number, ...words: readonly number[]): void {
    words.forEach((word, i) => this.#view.setUint32(at + 4 * i, word, true));
  }
  words64(at: number, ...words: readonly number[]): void {
    words.forEach((word, i) => this.#view.setBigUint64(at + 8 * i, BigInt(word), true));
  }
}

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;
