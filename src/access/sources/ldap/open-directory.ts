import { readFile } from "node:fs/promises";
import type { LdapSettings } from "../../../platform/config/sources-schema.ts";
import { DirectoryError } from "../../../platform/net/directory/directory-error.ts";
import type { DirectorySession } from "../../../platform/net/directory/directory-session.ts";

/** Opens a conversation with one of a directory's servers. @throws DirectoryError */
export type OpenDirectory = () => Promise<DirectorySession>;

const presetPort = { "ldaps:": 636, "ldap:": 389 } as const;

/** Files are read anew each time: what is renewed counts at once. */
export function directoryOpener(settings: LdapSettings): OpenDirectory {
  const { urls, caFile, verifyCertificate, connectTimeoutSeconds, operationTimeoutSeconds } = settings;
  let lastGood = 0;
  const openOne = async (url: string): Promise<DirectorySession> => {
    // What only those need who have a directory is loaded for the first of them.
    const { openTlsChannel } = await import("../../../platform/net/directory/tls-channel.ts");
    const { directorySession } = await import("../../../platform/net/directory/directory-session.ts");
    const { protocol, hostname, port } = new URL(url);
    const isTls = protocol === "ldaps:";
    const target = {
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? presetPort[isTls ? "ldaps:" : "ldap:"] : Number(port),
      security: isTls ? "tls" : "starttls",
    } as const;
    const ca = caFile === undefined ? undefined : await readSetting(caFile, "caFile", "tls");
    const channel = await openTlsChannel(target, { verifyCertificate, ca }, connectTimeoutSeconds * 1000);
    return directorySession(channel, { operationMs: operationTimeoutSeconds * 1000 });
  };
  return async () => {
    let failure: unknown;
    for (let tried = 0; tried < urls.length; tried++) {
      const at = (lastGood + tried) % urls.length;
      try {
        const session = await openOne(urls[at] ?? "");
        lastGood = at;
        return session;
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  };
}

/** As whoever looks people up. @throws DirectoryError */
export async function bindToLook(session: DirectorySession, settings: LdapSettings): Promise<void> {
  const { bindDn, bindPassword, bindPasswordFile } = settings;
  if (bindDn === undefined) return;
  const password =
    bindPasswordFile === undefined
      ? (bindPassword ?? "")
      : (await readSetting(bindPasswordFile, "bindPasswordFile", "bind")).replace(/\r?\n$/, "");
  if (!(await session.bind(bindDn, password))) throw new DirectoryError("bind", "it refuses bindDn with its password");
}

async function readSetting(path: string, setting: string, step: "tls" | "bind"): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    throw new DirectoryError(step, `${setting}: ${path} cannot be read`);
  }
}
