import { resolve } from "node:path";
import { type Browser, openBrowser, type Page } from "./browser.ts";
import { type TestServer, withoutSettings } from "./server.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

export interface DeviceLogin {
  /** Where it sends people. */
  readonly url: string;
  readonly code: string;
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number; readonly out: string; readonly error: string }>;
  stop(): void;
}

/** `berth login` without a password, up to where it waits for somebody with a browser. */
export async function beginDeviceLogin(
  server: Pick<TestServer, "url">,
  { config, args = [] }: { readonly config: string; readonly args?: readonly string[] },
): Promise<DeviceLogin> {
  const child = Bun.spawn([berth, "login", server.url, ...args], {
    env: { ...withoutSettings(process.env), XDG_CONFIG_HOME: config },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const out = new Response(child.stdout).text();
  const decoder = new TextDecoder();
  let error = "";
  const { promise: told, resolve: tell, reject } = Promise.withResolvers<{ url: string; code: string }>();
  const reading = (async () => {
    for await (const chunk of child.stderr) {
      error += decoder.decode(chunk, { stream: true });
      const [, url, code] = /Open (\S+) in a browser, and see that it shows the code (\S+)\.\n/.exec(error) ?? [];
      if (url !== undefined && code !== undefined) tell({ url, code });
    }
    reject(new Error(`berth login did not wait: ${error}`));
  })();
  const ended = reading.then(async () => ({ code: await child.exited, out: await out, error }));
  return { ...(await told), ended, stop: () => child.kill("SIGKILL") };
}

/** Signs in on the page that an address leads to, and sees what it leads to then. */
export async function openSignedIn(
  browser: Browser,
  url: string,
  who: { readonly username: string; readonly password: string },
): Promise<Page> {
  const page = await browser.open(url);
  if (!page.text.includes('name="password"')) return page;
  return browser.submit(page, { name: who.username, password: who.password });
}

/** Lets a machine in, as the administrator. */
export async function approveDevice(
  server: Pick<TestServer, "admin">,
  { url }: Pick<DeviceLogin, "url">,
): Promise<Page> {
  const browser = openBrowser();
  return browser.submit(await openSignedIn(browser, url, server.admin), { decision: "approve" });
}
