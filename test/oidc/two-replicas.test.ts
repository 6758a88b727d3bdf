import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Browser, openBrowser, signInThere } from "../support/browser.ts";
import { createTestDatabase, describeEachDatabase } from "../support/databases.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { unusedPort } from "../support/unused-port.ts";
import { startProvider } from "./provider.ts";

const people = { ann: { preferred_username: "ann", name: "Ann Example" } };

/** What a balancer does that sends each request where it likes: the browser knows one address alone. */
async function sendTo(server: TestServer, url: URL | string, cookies: ReadonlyMap<string, string>): Promise<Response> {
  const { pathname, search } = new URL(url);
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  return fetch(`${server.url}${pathname}${search}`, { redirect: "manual", headers: { cookie } });
}

const cookiesOf = (answer: Response): ReadonlyMap<string, string> =>
  new Map(
    answer.headers.getSetCookie().map((line): [string, string] => {
      const [pair = ""] = line.split(";");
      return [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    }),
  );

/** On SQLite two processes of one server, on PostgreSQL two servers. */
describeEachDatabase("two servers of one database with a provider", (dialect) => {
  const used = new AsyncDisposableStack();
  let first: TestServer;
  let second: TestServer;

  beforeAll(async () => {
    const stored = used.use(await createTestDatabase(dialect));
    const port = await unusedPort();
    const source = {
      name: "corp",
      kind: "oidc",
      issuer: `http://localhost:${port}`,
      clientId: "berth",
      clientSecret: "secret of the client & more",
    };
    const env = {
      BERTH_DATABASE_URL: stored.url,
      BERTH_SECRET: "the same secret for all of the replicas",
      BERTH_ACCESS_SOURCES: JSON.stringify([source]),
    };
    first = used.use(await startServer({ env: { ...env, BERTH_HTTP_WORKERS: dialect === "sqlite" ? "2" : "1" } }));
    second =
      dialect === "sqlite"
        ? first
        : used.use(await startServer({ env: { ...env, BERTH_HTTP_WORKERS: "1", BERTH_HTTP_PUBLIC_URL: first.url } }));
    used.use(await startProvider({ port, people, redirectUris: [`${first.url}/sign-in/corp/callback`] }));
  }, 120_000);
  afterAll(() => used.disposeAsync());

  /** Begun at the first; what the provider answers has not been brought back yet. */
  const begin = async () => {
    const browser: Browser = openBrowser();
    const stopAt = `${first.url}/sign-in/corp/callback`;
    const { url } = await signInThere(browser, `${first.url}/sign-in/corp`, { name: "ann", stopAt });
    return { url, cookies: browser.cookies(first.host) };
  };

  test("a sign-in that was begun at one is ended at the other, and its session is good at both", async () => {
    const { url, cookies } = await begin();
    const answer = await sendTo(second, url, cookies);
    expect(answer.status).toBe(200);
    const session = cookiesOf(answer);
    for (const server of [first, second]) {
      const me = await sendTo(server, "http://any/api/v1/me", session);
      expect([me.status, await me.json()]).toMatchObject([200, { name: "ann" }]);
    }
  });

  test("an answer that was used is good at neither of them, with all that the browser had", async () => {
    for (const [one, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const { url, cookies } = await begin();
      expect((await sendTo(one, url, cookies)).status).toBe(200);
      for (const server of [one, other]) {
        const again = await sendTo(server, url, cookies);
        expect([again.status, [...cookiesOf(again).keys()]]).toEqual([403, ["berth_sign_in"]]);
        expect((await sendTo(server, url, new Map())).status).toBe(400);
      }
    }
  });

  test("of two that bring it at the same moment, one is signed in at the most", async () => {
    const { url, cookies } = await begin();
    const answers = await Promise.all([first, second, first, second].map((server) => sendTo(server, url, cookies)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(1);
    expect(statuses.filter((status) => status !== 200 && status !== 403)).toEqual([]);
  });
});
