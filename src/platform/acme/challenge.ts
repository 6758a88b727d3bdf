export type ChallengeType = "http-01" | "tls-alpn-01";

/** What the authority will look for. */
export interface Challenge {
  readonly host: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

/** Whoever shows the authority that a host is ours. */
export interface Responder {
  readonly type: ChallengeType;
  /** Resolves when every connection from now on is answered. @returns a function that ends it */
  answer(challenges: readonly Challenge[]): Promise<() => Promise<void>>;
}
