import { parseDeviceScope } from "../../access/device/device-scope.ts";
import { pollDevice, type Polled } from "../../access/device/device-tokens.ts";
import { formatUserCode } from "../../access/device/user-code.ts";
import type { JsonObject } from "../../oci/json.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { ownOrigin } from "../challenge.ts";
import { readForm } from "../read-form.ts";
import type { DeviceDeps } from "./device-site.ts";

const longestFormBytes = 4096;
const grantType = "urn:ietf:params:oauth:grant-type:device_code";

const json = (status: number, body: JsonObject): Reply => ({
  kind: "json",
  status,
  headers: { "cache-control": "no-store" },
  body,
});
const refused = (error: string, description?: string): Reply =>
  json(400, { error, ...(description !== undefined && { error_description: description }) });

/** POST /device/authorization (RFC 8628, 3.1): a device wants to be let in. */
export async function beginDevice(deps: DeviceDeps, request: Incoming): Promise<Reply> {
  const form = await formOf(request);
  if (form === undefined) return notAForm;
  const device = nameIn(form.get("device_name") ?? form.get("client_id") ?? "");
  if (form.get("client_id") === null || device === undefined)
    return refused("invalid_request", "client_id is needed, and device_name is one line of up to 100 characters");
  const scope = parseDeviceScope(form.get("scope") ?? "images");
  if (scope === undefined) return refused("invalid_scope", "scope is images or everything");
  const asked = { scheme: request.scheme, host: request.headers.get("host") };
  const base = ownOrigin(deps.publicUrl, asked) ?? fail({ code: "HOST_INVALID" });
  const { remoteAddress } = request;
  const begun = await deps.deviceSignIns.begin({ device, scope, remoteAddress });
  deps.count("begun");
  const userCode = formatUserCode(begun.userCode);
  return json(200, {
    device_code: begun.deviceCode,
    user_code: userCode,
    verification_uri: `${base}/device`,
    verification_uri_complete: `${base}/device?user_code=${userCode}`,
    expires_in: begun.expiresInSeconds,
    interval: begun.intervalSeconds,
  });
}

/** POST /device/token (RFC 8628, 3.4): a device asks whether it is let in by now. */
export async function giveToken(deps: DeviceDeps, request: Incoming): Promise<Reply> {
  const form = await formOf(request);
  if (form === undefined) return notAForm;
  if (form.get("grant_type") !== grantType) return refused("unsupported_grant_type", `grant_type is ${grantType}`);
  const deviceCode = form.get("device_code");
  if (deviceCode === null) return refused("invalid_request", "device_code is needed");
  const { remoteAddress, requestId } = request;
  const polled = await pollDevice(deps, { deviceCode, remoteAddress, requestId });
  if (polled.kind !== "granted") return refused(errors[polled.kind]);
  deps.count("granted");
  const { token, account } = polled;
  return json(200, {
    access_token: token.text,
    token_type: "Bearer",
    expires_in: Math.floor((token.expiresAt - deps.now()) / 1000),
    account,
    token_id: token.id,
  });
}

const errors: Readonly<Record<Exclude<Polled["kind"], "granted">, string>> = {
  pending: "authorization_pending",
  "slow-down": "slow_down",
  denied: "access_denied",
  expired: "expired_token",
  unknown: "invalid_grant",
};

const notAForm = refused("invalid_request", "the body must be application/x-www-form-urlencoded, of 4 KiB at most");

/** `undefined` also where something is there twice. */
async function formOf(request: Incoming): Promise<URLSearchParams | undefined> {
  const read = await readForm(request, longestFormBytes);
  if (read.kind !== "form") return undefined;
  const names = [...read.form.keys()];
  return new Set(names).size === names.length ? read.form : undefined;
}

/** What people see, and what the token will be called. */
function nameIn(text: string): string | undefined {
  const name = text.trim();
  const isLine = name !== "" && name.length <= 100 && /^[\p{L}\p{N}\p{P}\p{S} ]+$/u.test(name);
  return isLine && name.isWellFormed() ? name : undefined;
}
