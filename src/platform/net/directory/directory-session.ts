import type { TLSSocket } from "node:tls";
import { Client, type Entry, ResultCodeError } from "ldapts";
import { loggable } from "../../telemetry/loggable.ts";
import { DirectoryError, type DirectoryStep } from "./directory-error.ts";
import { type DirectoryFilter, toLdapFilter } from "./directory-filter.ts";

export interface DirectoryEntry {
  readonly dn: string;
  /** The values of an attribute that are text. */
  texts(attribute: string): readonly string[];
  /** The first value, as it is. */
  bytes(attribute: string): Uint8Array | undefined;
}

export interface DirectoryQuery {
  readonly base: string;
  readonly scope: "base" | "one" | "sub";
  readonly filter: DirectoryFilter;
  readonly attributes: readonly string[];
  /** Attributes whose values are no text. */
  readonly binary?: readonly string[];
  /** More are an error where they are paged, and not asked for where they are not. */
  readonly most: number;
  readonly paged?: boolean;
}

/** A conversation with a directory on one connection, which is encrypted and is never replaced by another. */
export interface DirectorySession {
  /** `false`: the directory does not take this password of this entry. @throws DirectoryError */
  bind(dn: string, password: string): Promise<boolean>;
  /** References to other servers are not followed: they would be shown passwords. @throws DirectoryError */
  search(query: DirectoryQuery): Promise<readonly DirectoryEntry[]>;
  close(): void;
}

export interface SessionLimits {
  readonly operationMs: number;
}

const pageSize = 500;
const mostBytes = 64 * 1024 * 1024;

export function directorySession(socket: TLSSocket, { operationMs }: SessionLimits): DirectorySession {
  boundBytes(socket);
  let isTaken = false;
  const client = new Client({
    // Where the connection leads has been decided; this only says that nothing has to be put around it.
    url: "ldap://directory.invalid",
    timeout: operationMs,
    createConnection: () => {
      if (isTaken) throw new Error("the connection has ended");
      isTaken = true;
      return socket;
    },
  });
  return {
    async bind(dn, password) {
      // RFC 4513, 5.1.2: with an empty password anyone is let in, as nobody.
      if (password === "") return false;
      try {
        await client.bind(dn, password);
        return true;
      } catch (error) {
        if (error instanceof ResultCodeError && refusals.has(error.code)) return false;
        throw failure("bind", error);
      }
    },
    async search(query) {
      try {
        return await (query.paged === true ? searchPages(client, query) : searchOnce(client, query));
      } catch (error) {
        throw failure("search", error);
      }
    },
    close() {
      client.unbind().catch(() => undefined);
      socket.destroySoon();
    },
  };
}

/**
 * How directories say no to a password: invalid credentials, an entry without a password or with one that may not be used
 * now, no such entry. Everything else says nothing about the password.
 */
const refusals: ReadonlySet<number> = new Set([49, 48, 53, 19, 32]);

async function searchOnce(client: Client, query: DirectoryQuery): Promise<readonly DirectoryEntry[]> {
  const { searchEntries } = await client.search(query.base, { ...optionsOf(query), sizeLimit: query.most });
  return searchEntries.map(entryOf);
}

async function searchPages(client: Client, query: DirectoryQuery): Promise<readonly DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  for await (const page of client.searchPaginated(query.base, { ...optionsOf(query), paged: { pageSize } })) {
    entries.push(...page.searchEntries.map(entryOf));
    if (entries.length > query.most) throw new DirectoryError("search", `more than ${query.most} entries`);
  }
  return entries;
}

const optionsOf = ({ scope, filter, attributes, binary = [] }: DirectoryQuery) => ({
  scope,
  filter: toLdapFilter(filter),
  attributes: [...attributes],
  explicitBufferAttributes: [...binary],
});

function entryOf(entry: Entry): DirectoryEntry {
  // Servers spell the names of attributes as they like.
  const members = new Map(Object.entries(entry).map(([name, value]) => [name.toLowerCase(), value]));
  const valuesOf = (attribute: string): readonly (string | Uint8Array)[] => {
    const value = members.get(attribute.toLowerCase()) ?? [];
    return Array.isArray(value) ? value : [value];
  };
  return {
    dn: entry.dn,
    texts: (attribute) => valuesOf(attribute).filter((value) => typeof value === "string"),
    bytes(attribute) {
      const [first] = valuesOf(attribute);
      return typeof first === "string" ? Buffer.from(first) : first;
    },
  };
}

const longestReason = 200;

function failure(step: DirectoryStep, error: unknown): DirectoryError {
  if (error instanceof DirectoryError) return error;
  if (error instanceof ResultCodeError) {
    const said = error.message.replace(/ ?Code: 0x[0-9a-f]+$/, "");
    return new DirectoryError(step, loggable(`code ${error.code}${said === "" ? "" : `: ${said}`}`, longestReason));
  }
  return new DirectoryError(step, loggable(error instanceof Error ? error.message : "it failed", longestReason));
}

/** What a directory says is kept in memory until it is whole. */
function boundBytes(socket: TLSSocket): void {
  let bytes = 0;
  socket.on("data", (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > mostBytes) socket.destroy(new Error(`more than ${mostBytes} bytes`));
  });
}
