import type { Brand } from "./brand.ts";

/** A content address that is well-formed and of an algorithm we accept (image-spec, descriptor.md#digests). */
export type Digest = Brand<string, "Digest">;
export const digestAlgorithms = ["sha256", "sha512"] as const;
export type DigestAlgorithm = (typeof digestAlgorithms)[number];

const digest = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

const isDigest = (text: string): text is Digest => digest.test(text);

/** `undefined` on bad syntax or an algorithm we do not know: the caller knows which protocol error that is. */
export const parseDigest = (text: string): Digest | undefined => (isDigest(text) ? text : undefined);

/** `undefined` for an algorithm we do not know. */
export const parseDigestAlgorithm = (text: string): DigestAlgorithm | undefined =>
  digestAlgorithms.find((algorithm) => algorithm === text);

export const algorithmOf = (value: Digest): DigestAlgorithm => (value.startsWith("sha256:") ? "sha256" : "sha512");
