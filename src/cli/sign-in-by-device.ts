import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { parseJsonObject } from "../oci/json.ts";
import type { GuardedFetch } from "../platform/net/guarded-fetch.ts";
import { OutboundError } from "../platform/net/outbound.ts";
import { loggable } from "../platform/telemetry/loggable.ts";
import type { DeviceScope } from "../access/device/device-scope.ts";
import { type Server, wayTo } from "./remote-api.ts";
import { StartError } from "./start-error.ts";

const begunSchema = z.object({
  device_code: z.string(),
  user_code: z.string().max(64),
  verification_uri: z.string().max(1024),
  verification_uri_complete: z.string().max(1024),
  expires_in: z.number(),
  interval: z.number().min(1).max(60).default(5),
});
const grantedSchema = z.object({
  access_token: z.string(),
  account: z.string(),
  token_id: z.string(),
  expires_in: z.number(),
});
const refusedSchema = z.object({ error: z.string(), error_description: z.string().optional() });

export interface DeviceToken {
  readonly name: string;
  readonly token: string;
  readonly tokenId: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

interface Wish {
  readonly scope: DeviceScope;
  /** Tells somebody where to go with a browser, and what they will see there. */
  readonly onBegun: (where: { readonly url: string; readonly code: string }) => void;
}

const clientId = "berth";
const mostNameCharacters = 100;
const slowerSeconds = 5;

/** A personal token of whoever lets this machine in with a browser (RFC 8628). @throws StartError */
export async function signInByDevice(server: Server, { scope, onBegun }: Wish): Promise<DeviceToken> {
  const ask = asker(server, await wayTo(server));
  const device_name = `berth on ${hostname()}`.slice(0, mostNameCharacters);
  const answer = await ask("/device/authorization", { client_id: clientId, device_name, scope });
  const begun = begunSchema.safeParse(answer.told);
  if (answer.status !== 200 || !begun.success) {
    throw new StartError(`${server.origin} signs nobody in without a password: name an account with --username`);
  }
  const { device_code, user_code, verification_uri_complete, expires_in, interval } = begun.data;
  onBegun({ url: loggable(verification_uri_complete, 1024), code: loggable(user_code, 64) });
  const grant_type = "urn:ietf:params:oauth:grant-type:device_code";
  const until = performance.now() + expires_in * 1000;
  for (let waitSeconds = interval; performance.now() < until;) {
    await sleep(waitSeconds * 1000);
    const polled = await ask("/device/token", { client_id: clientId, grant_type, device_code }).catch(unlessAway);
    if (polled === undefined) continue;
    if (polled.status === 200) return tokenOf(server, polled.told);
    const { data: refused } = refusedSchema.safeParse(polled.told);
    if (refused?.error === "slow_down") waitSeconds += slowerSeconds;
    else if (refused?.error === "access_denied") throw new StartError("it was refused in the browser");
    else if (refused?.error === "expired_token") break;
    else if (refused?.error !== "authorization_pending") {
      throw new StartError(`${server.origin} answers ${polled.status} ${loggable(refused?.error ?? "", 64)}`.trim());
    }
  }
  throw new StartError("nobody has let this machine in, in time");
}

/** A server that is away for a moment has not forgotten anything. */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof OutboundError)) throw error;
}

interface Answer {
  readonly status: number;
  readonly told: unknown;
}

const asker =
  ({ origin }: Server, ask: GuardedFetch) =>
  async (path: string, form: Readonly<Record<string, string>>): Promise<Answer> => {
    const reply = await ask({
      url: `${origin}${path}`,
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: new URLSearchParams(form).toString(),
    });
    return { status: reply.status, told: parseJsonObject(await reply.bytes()) };
  };

function tokenOf({ origin }: Server, told: unknown): DeviceToken {
  const { success, data } = grantedSchema.safeParse(told);
  if (!success) throw new StartError(`${origin} answers something else; is it of another version?`);
  const { access_token: token, account: name, token_id: tokenId, expires_in } = data;
  return { name, token, tokenId, expiresAt: Date.now() + expires_in * 1000 };
}
