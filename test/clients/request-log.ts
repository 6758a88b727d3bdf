import { expect } from "bun:test";
import type { LogLine, TestServer } from "../support/server.ts";

/** What the tests themselves ask the server for; never counted as a client's request. */
const testUserAgent = "berth-test";
const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

/** A request of the test with the account's credentials, beside those of the client. */
export async function ask(
  server: TestServer,
  path: string,
  options: { readonly method?: string } = {},
): Promise<Response> {
  const credentials = btoa(`${server.admin.username}:${server.admin.password}`);
  return fetch(new URL(path, server.url), {
    method: options.method ?? "GET",
    headers: {
      "user-agent": testUserAgent,
      authorization: `Basic ${credentials}`,
      accept: manifestTypes.join(", "),
    },
  });
}

export interface Watch {
  /** Every request since the watch began, proven to come from the client whose name this is. */
  from(client: RegExp): Promise<readonly LogLine[]>;
}

/** Begins to watch; a client's requests count from here. */
export function watch(server: TestServer): Watch {
  // By the clock: the lines of requests before it may be written after it.
  const start = new Date().toISOString();
  return {
    async from(client) {
      await server.logged();
      const seen = server.requests().filter(({ time }) => String(time) >= start);
      const requests = seen.filter((line) => !(line.userAgent ?? "").startsWith(testUserAgent));
      expect(requests.length).toBeGreaterThan(0);
      const others = requests.filter((line) => !client.test(line.userAgent ?? ""));
      expect(others).toEqual([]);
      return requests;
    },
  };
}

/** How many requests of this shape there were. */
export const count = (
  requests: readonly LogLine[],
  want: { readonly method: string; readonly path: RegExp; readonly status?: number },
): number =>
  requests.filter(
    (line) =>
      line.method === want.method &&
      want.path.test(line.path ?? "") &&
      (want.status === undefined || line.status === want.status),
  ).length;

/**
 * Proves that `layers` layers came into the repository by a mount: that many POSTs were answered 201, and no more
 * uploads were opened, written or finished than `uploaded`, the number of blobs the client does not mount.
 */
export function expectMounts(
  requests: readonly LogLine[],
  want: { readonly repository: string; readonly layers: number; readonly uploaded: number },
): void {
  const uploads = new RegExp(`^/v2/${want.repository}/blobs/uploads/`);
  expect({
    mounted: count(requests, { method: "POST", path: uploads, status: 201 }),
    opened: count(requests, { method: "POST", path: uploads, status: 202 }),
    finished: count(requests, { method: "PUT", path: uploads }),
  }).toEqual({ mounted: want.layers, opened: want.uploaded, finished: want.uploaded });
  expect(count(requests, { method: "PATCH", path: uploads })).toBeLessThanOrEqual(want.uploaded);
}

/** The digest that the registry gives for a tag, or undefined when it knows no such tag. */
export async function digestOf(server: TestServer, repository: string, tag: string): Promise<string | undefined> {
  const reply = await ask(server, `/v2/${repository}/manifests/${tag}`, { method: "HEAD" });
  if (reply.status === 404) return undefined;
  expect(reply.status).toBe(200);
  return reply.headers.get("docker-content-digest") ?? undefined;
}
