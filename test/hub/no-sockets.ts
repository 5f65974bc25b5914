// Loaded before a program (--import): any attempt to look up a host or to open a connection ends the process with code 99.

import dns from "node:dns";
import { Socket } from "node:net";

function forbidden(): never {
  console.error("a connection was opened");
  process.exit(99);
}

Socket.prototype.connect = forbidden;
dns.lookup = forbidden as never;
