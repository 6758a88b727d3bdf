import { readFileSync } from "node:fs";
import { ConfigError } from "../platform/config/load-config.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Collector } from "../platform/net/syslog/send-messages.ts";

/** Where entries of the audit log are sent, if they are. @throws ConfigError */
export function wantedCollector({ audit: { enabled, syslog } }: Config): Collector | undefined {
  if (!enabled || syslog.url === undefined) return undefined;
  const { protocol, hostname, port } = new URL(syslog.url);
  const transport = protocol === "tls:" ? "tls" : protocol === "udp:" ? "udp" : "tcp";
  const host = hostname.replaceAll(/^\[|\]$/g, "");
  return {
    transport,
    host,
    port: Number(port),
    ca: syslog.caFile === undefined ? undefined : authorities(syslog.caFile),
  };
}

function authorities(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new ConfigError([`audit.syslog.caFile: ${file} cannot be read`]);
  }
}
