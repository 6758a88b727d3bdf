import type { JsonObject } from "../../oci/json.ts";

/** Whose doing a change was; `operator` is somebody with the data folder in hand. */
export interface Actor {
  readonly kind: "operator" | "anonymous" | "account" | "robot" | "system";
  readonly id: string;
  readonly name: string;
  /** The personal token or robot secret that was shown, or the rule by which another issuer's token was good. */
  readonly tokenId?: string;
}

/** What is told of a change beside the change itself; of one that a request asked for, its address and id too. */
export interface Envelope {
  readonly actor: Actor;
  readonly address?: string;
  readonly requestId?: string;
}

/** The server itself, where nobody asked for it. */
export const server: Envelope = { actor: { kind: "system", id: "", name: "berth" } };

/** A change of who may do what: for the audit log. The journal, which has images and nothing else, passes it over. */
export interface AccessEvent {
  readonly kind: "access-changed";
  readonly action: AccessAction;
  readonly target: { readonly id: string; readonly name: string };
  /** Never with a secret, nor a hash of one. */
  readonly before?: JsonObject;
  readonly after?: JsonObject;
}

export type AccessAction =
  | "description-changed"
  | "labels-changed"
  | `${"account" | "organization" | "team" | "namespace" | "role" | "grant" | "protection" | "token" | "robot" | "workload-rule"}-${"created" | "changed" | "deleted"}`
  | `${"organization" | "team"}-member-${"added" | "changed" | "removed"}`
  | `refresh-token-${"created" | "deleted"}`
  | "token-rotated";
