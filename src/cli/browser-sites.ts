import type { KeyObject } from "node:crypto";
import { deriveKey } from "../access/instance-secret.ts";
import type { Access } from "../access/open-access.ts";
import type { NoteSession } from "../access/sessions/session-note.ts";
import type { BrowserSources } from "../access/sources/browser-sources.ts";
import { deviceSite } from "../http/device/device-site.ts";
import type { Site } from "../http/entrance.ts";
import { signInSite } from "../http/sign-in/sign-in-site.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Registry } from "../registry/registry.ts";
import type { Operation } from "./operation.ts";

interface BrowserSitesDeps {
  readonly access: Access;
  readonly browserSources: BrowserSources;
  readonly registry: Pick<Registry, "database">;
  readonly secret: KeyObject;
  readonly operation: Operation;
  readonly onSignIn: NoteSession;
}

/** What people do with a browser: sign in, and let devices in that have none. */
export const browserSites = (config: Config, deps: BrowserSitesDeps): readonly Site[] => [
  signInSiteOf(config, deps),
  deviceSiteOf(config, deps),
];

const signInSiteOf = (
  { http: { publicUrl } }: Config,
  { access, browserSources, secret, operation: { log }, onSignIn }: BrowserSitesDeps,
): Site =>
  signInSite({
    checkPassword: access.checkPassword,
    secondFactors: access.secondFactors,
    sessions: access.sessions,
    browserSources,
    pendingKey: deriveKey(secret, "sign-ins"),
    publicUrl,
    log,
    onSignIn,
    now: Date.now,
  });

function deviceSiteOf(
  { http: { publicUrl }, access: { tokens: tokenLimits } }: Config,
  { access: { failures, sessions }, registry: { database }, operation: { metrics } }: BrowserSitesDeps,
): Site {
  const add = metrics.counter(
    "berth_device_sign_ins_total",
    "Devices without a browser that asked to be let in, and what came of it.",
    ["outcome"],
  );
  const count = (outcome: string): void => add({ outcome });
  return deviceSite({ database, failures, sessions, tokenLimits, publicUrl, count, now: Date.now });
}
