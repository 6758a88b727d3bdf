import type { Answer, Registry } from "../../protocol/registry-client.ts";
import type { RepositoryState } from "../expected-state.ts";

/** A blob that every client may mount. */
export interface Source {
  readonly repository: string;
  readonly digest: string;
}

/** What the actions of a client work on. */
export interface Load {
  readonly repository: string;
  readonly path: string;
  readonly source: Source;
  readonly state: () => RepositoryState;
  /** Images by their digest, ready to be pushed under another tag. */
  readonly images: Map<string, Buffer>;
  /** What an artifact was attached to, by the artifact's digest. */
  readonly subjects: Map<string, string>;
  /** One request that changes something, and what is sure behind its success. */
  readonly change: (kind: string, after: RepositoryState, send: () => Promise<Answer>) => Promise<Answer>;
  /** What an answer that has been counted makes sure beside. */
  readonly learn: (state: RepositoryState) => void;
  /** An answer that no server may give. */
  readonly complain: (problem: string) => void;
}

export type Action = (load: Load, registry: Registry) => Promise<unknown> | undefined;

export const oneOf = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)];
