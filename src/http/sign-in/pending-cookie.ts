import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { seal, unseal } from "../../access/sealed-text.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { type Cookie, cookieText, endedCookieText, readCookie } from "../cookies.ts";
import { returnPath } from "./return-path.ts";

/** Sent along when a source leads back here, as the session's is not. */
const cookie: Cookie = { secureName: "__Host-berth-sign-in", plainName: "berth_sign_in", sameSite: "Lax" };
const context = "sign-in";
const livesSeconds = 600;

const pendingSchema = z.object({
  source: z.string(),
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  returnTo: z.string().transform(returnPath),
  /** Milliseconds since 1970. */
  until: z.number(),
});

/** A sign-in under way. The browser has it, sealed, so that any server of the registry can go on with it. */
export type KeptSignIn = Omit<z.infer<typeof pendingSchema>, "until">;

interface Sealing {
  readonly key: KeyObject;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export const pendingCookie = ({ key, now }: Sealing, scheme: Incoming["scheme"], kept: KeptSignIn): string => {
  const value = seal(key, context, JSON.stringify({ ...kept, until: now() + livesSeconds * 1000 }));
  return cookieText(cookie, scheme, { value, maxAgeSeconds: livesSeconds });
};

export const endedPendingCookie = (scheme: Incoming["scheme"]): string => endedCookieText(cookie, scheme);

/** `undefined`: there is none, it is not ours, or it is too old. */
export function readPendingCookie({ key, now }: Sealing, request: Incoming): KeptSignIn | undefined {
  const sealed = readCookie(request, cookie);
  const text = sealed === undefined ? undefined : unseal(key, context, sealed);
  if (text === undefined) return undefined;
  const { until, ...kept } = pendingSchema.parse(JSON.parse(text), { jitless: true });
  return now() < until ? kept : undefined;
}
