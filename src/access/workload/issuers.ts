import { LRUCache } from "lru-cache";
import type { ListedIssuer } from "../../platform/config/issuer-schema.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { type Issuer, openIssuer } from "../openid/issuer.ts";

interface IssuersDeps {
  /** Those that are not on the internet, or have an authority of their own. */
  readonly listed: readonly ListedIssuer[];
  readonly log: Pick<Log, "info" | "warn">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** As many as have documents in memory. */
const mostOpen = 200;

/** The issuers that rules name: nobody makes us ask another one. */
export function openIssuers({ listed, log, now }: IssuersDeps): (url: string) => Issuer {
  const opened = new LRUCache<string, Issuer>({ max: mostOpen });
  return (url) => {
    const known = opened.get(url);
    if (known !== undefined) return known;
    const settings = listed.find((one) => one.url === url);
    const reached = settings && {
      // Whoever names it in the configuration has allowed it.
      allow: [new URL(url).hostname, ...settings.allow],
      ...(settings.caFile !== undefined && { caFile: settings.caFile }),
    };
    const onState = (reason: string | undefined): void =>
      reason === undefined
        ? log.info("issuer answers again", { issuer: url })
        : log.warn("issuer does not answer", { issuer: url, reason });
    const issuer = openIssuer({ issuer: url, ...reached }, { now, onState });
    opened.set(url, issuer);
    return issuer;
  };
}
