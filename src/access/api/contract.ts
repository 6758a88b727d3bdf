import type { z } from "zod";
import type { Subject, Verb } from "../permissions.ts";

/**
 * What a route asks for, before it does anything: nothing, not even who it is; whoever it is; somebody who has signed in; one who has
 * done so with a password, as a program with a token has not; or a verb on something. `on` says
 * where: on the whole instance, or on what the path's parameter of that name says. A route that can tell only from more of
 * the request asks for somebody who has signed in, and for the rest itself (`permit`).
 */
export type Need =
  | "nothing"
  | "anyone"
  | "sign-in"
  | "person"
  | {
      readonly verb: Verb;
      readonly subject: Subject;
      readonly on: "instance" | "organization" | "namespace" | "repository";
    };

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/**
 * A route of the administration API as both of its ends know it. The server's list, the OpenAPI file, the permission table and
 * the client are made of these.
 */
export interface Contract {
  /** Of the operation; no other route has it. */
  readonly id: string;
  readonly method: Method;
  /** Below `/api/v1`. `{repository}` takes several segments, every other parameter one. */
  readonly path: `/${string}`;
  readonly group: string;
  readonly summary: string;
  readonly need: Need;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** Of a larger body than is usual. */
  readonly mostBodyBytes?: number;
  /** Absent: the answer is empty. What the value has beside it is not sent. */
  readonly output?: z.ZodType;
  /** Where that which was made is found; braces hold members of the output. An `Idempotency-Key` counts then. */
  readonly creates?: `/${string}`;
  /** An `Idempotency-Key` counts, although what is made has no place of its own to be found at. */
  readonly madeOnce?: true;
  /** The output has a `revision`, which is its ETag; a change says by `If-Match` which one it means. */
  readonly versioned?: true;
  /** Of what cannot be taken back: `?dryRun=true` answers the same, and nothing happens. */
  readonly destroys?: true;
}

type OutputOfSchema<S> = S extends z.ZodType ? z.output<S> : Nothing;
type InputOfSchema<S> = S extends z.ZodType ? z.input<S> : never;
/** Of a part that the contract does not have. */
export type Nothing = Readonly<Record<string, never>>;

export type Params<C extends Contract> = OutputOfSchema<C["params"]>;
export type Query<C extends Contract> = OutputOfSchema<C["query"]>;
export type Body<C extends Contract> = OutputOfSchema<C["body"]>;
/** What `run` gives, and what a client gets. */
export type Value<C extends Contract> = C["output"] extends z.ZodType ? z.output<C["output"]> : undefined;

/** What a client gives. */
export type Asked<C extends Contract> = {
  readonly [K in "params" | "query" | "body" as C[K] extends z.ZodType ? K : never]: InputOfSchema<C[K]>;
} & AskedOfAll;

interface AskedOfAll {
  readonly ifMatch?: string;
  readonly dryRun?: boolean;
}

/** Keeps the types of what is written down. */
export const contract = <const C extends Contract>(written: C): C => written;
