// A client of TypeScript's language server, `tsc --lsp --stdio`: what an editor shows of a program (hover, completions, errors).
// Messages are JSON-RPC with a Content-Length header each, as the Language Server Protocol says.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = join(import.meta.dirname, "../..");

type Message = { id?: number; method?: string; params?: unknown; result?: unknown; error?: object };
type Position = { readonly line: number; readonly character: number };

/** A name that an editor offers, and how it is marked. */
export type Completion = { readonly label: string; readonly kind?: number };

export class LanguageServer {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #received: Buffer = Buffer.alloc(0);
  #last = 0;

  private constructor() {
    this.#process = spawn(join(root, "node_modules/.bin/tsc"), ["--lsp", "--stdio"]);
    this.#process.stdout.on("data", (bytes: Buffer) => this.#receive(bytes));
    this.#process.on("exit", (code) => {
      const error = new Error(`the language server ended with ${code}`);
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  /** Starts a server for the project in a folder. */
  static async start(folder: string): Promise<LanguageServer> {
    const server = new LanguageServer();
    const rootUri = pathToFileURL(folder).href;
    const capabilities = {
      textDocument: { hover: { contentFormat: ["markdown"] }, completion: {}, diagnostic: {} },
    };
    await server.#ask("initialize", { processId: process.pid, rootUri, capabilities });
    server.#send({ method: "initialized", params: {} });
    return server;
  }

  async stop(): Promise<void> {
    await this.#ask("shutdown", undefined);
    this.#send({ method: "exit", params: undefined });
  }

  /** Opens a file with this text, which need not be on the disk. */
  open(path: string, text: string): Document {
    const uri = pathToFileURL(path).href;
    const textDocument = { uri, languageId: "typescript", version: 1, text };
    this.#send({ method: "textDocument/didOpen", params: { textDocument } });
    return new Document(uri, text, (method, params) => this.#ask(method, params));
  }

  #ask(method: string, params: unknown): Promise<unknown> {
    const waiting = Promise.withResolvers<unknown>();
    this.#last++;
    this.#waiting.set(this.#last, waiting);
    this.#send({ id: this.#last, method, params });
    return waiting.promise;
  }

  #send(message: Message): void {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    this.#process.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(
        /Content-Length: (\d+)/i.exec(this.#received.toString("latin1", 0, end))?.[1],
      );
      if (this.#received.length < end + 4 + length) return;
      const text = this.#received.toString("utf8", end + 4, end + 4 + length);
      this.#received = this.#received.subarray(end + 4 + length);
      this.#handle(JSON.parse(text) as Message);
    }
  }

  #handle({ id, method, result, error }: Message): void {
    if (id === undefined) return;
    // The server asks the client things too, such as its settings; it has none.
    if (method !== undefined) return this.#send({ id, result: null });
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(JSON.stringify(error)));
  }
}

type Ask = (method: string, params: unknown) => Promise<unknown>;

/** An open file. Places in it are given by a piece of its text. */
export class Document {
  readonly #uri: string;
  readonly #text: string;
  readonly #ask: Ask;

  constructor(uri: string, text: string, ask: Ask) {
    this.#uri = uri;
    this.#text = text;
    this.#ask = ask;
  }

  /** The text that an editor shows under the type of the name that `piece` has at `offset`; "" if there is none. */
  async textOf(piece: string, offset = 0): Promise<string> {
    const [, , text = ""] = (await this.#hover(piece, offset)).split("```");
    return text.trim();
  }

  async #hover(piece: string, offset: number): Promise<string> {
    const hover = (await this.#at("hover", this.#positionOf(piece, offset))) as {
      contents: { value: string } | string;
    } | null;
    const contents = hover?.contents ?? "";
    return typeof contents === "string" ? contents : contents.value;
  }

  /** What an editor offers behind `piece`. */
  async completions(piece: string): Promise<Completion[]> {
    const list = (await this.#at("completion", this.#positionOf(piece, piece.length))) as
      | Completion[]
      | { items: Completion[] }
      | null;
    return list === null ? [] : Array.isArray(list) ? list : list.items;
  }

  /** The messages of the errors in the file. */
  async errors(): Promise<string[]> {
    const report = (await this.#ask("textDocument/diagnostic", {
      textDocument: { uri: this.#uri },
    })) as { items: { message: string; severity?: number }[] };
    return report.items.filter(({ severity = 1 }) => severity === 1).map(({ message }) => message);
  }

  #at(what: string, position: Position): Promise<unknown> {
    return this.#ask(`textDocument/${what}`, { textDocument: { uri: this.#uri }, position });
  }

  #positionOf(piece: string, offset: number): Position {
    const at = this.#text.indexOf(piece);
    if (at < 0) throw new Error(`the text has no ${JSON.stringify(piece)}`);
    const before = this.#text.slice(0, at + offset).split("\n");
    return { line: before.length - 1, character: before[before.length - 1].length };
  }
}
