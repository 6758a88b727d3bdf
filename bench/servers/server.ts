import type { Bench } from "../measure/row.ts";
import type { ProcessTree } from "../measure/process-tree.ts";

export interface Started {
  readonly host: string;
  readonly isTls: boolean;
  readonly data: string;
  /** Where what it serves is put as files, for a server that takes no pushes. */
  readonly files?: string;
  readonly processes: ProcessTree;
  /** What a client that may push sends; nothing where everyone may. */
  readonly authorization: string | undefined;
  /** From the start of the process to its first answer. */
  readonly startMs: number;
  /** An end of the process, as an operator would ask for it. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly bench: Bench;
  readonly tls?: boolean;
  /** A program and its arguments that the server runs under, such as a tracer. */
  readonly under?: readonly string[];
  readonly workers?: number;
  /** A folder that was filled before; an empty one otherwise. */
  readonly data?: string;
}

export interface Server {
  readonly name: string;
  /** What it is told to do that counts for speed: durability, log. */
  readonly setting: string;
  missing(): string | undefined;
  version(): Promise<string>;
  start(options: StartOptions): Promise<Started>;
}
