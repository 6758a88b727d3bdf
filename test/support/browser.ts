/** As much of a browser as a sign-in takes: it keeps cookies, follows redirects, and fills in forms. */
export interface Browser {
  /** Goes to an address, and on from there to where it is led; stops in front of `stopAt`. */
  open(url: string, stopAt?: string): Promise<Page>;
  /** Sends the page's form. */
  submit(page: Page, fields: Readonly<Record<string, string>>, stopAt?: string): Promise<Page>;
  cookies(host: string): ReadonlyMap<string, string>;
}

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

interface Sent {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly body?: URLSearchParams;
  readonly stopAt: string | undefined;
  /** The page that leads there. */
  readonly from?: string;
}

const mostSteps = 20;

export function openBrowser(): Browser {
  const jars = new Map<string, Map<string, { value: string; strict: boolean }>>();
  const jarOf = (url: string) => {
    const { host } = new URL(url);
    const jar = jars.get(host) ?? new Map<string, { value: string; strict: boolean }>();
    jars.set(host, jar);
    return jar;
  };
  const keep = (url: string, headers: Headers): void => {
    for (const line of headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
      const isOver = attributes.some((one) => /^max-age=0$/i.test(one) || /^expires=.*1970/i.test(one));
      if (isOver || value === "") jarOf(url).delete(name);
      else jarOf(url).set(name, { value, strict: attributes.some((one) => /^samesite=strict$/i.test(one)) });
    }
  };
  const send = async ({ url, method, body, stopAt, from }: Sent, isForeign = false, step = 0): Promise<Page> => {
    if (step > mostSteps) throw new Error(`led on and on, at last to ${url}`);
    if (stopAt !== undefined && url.startsWith(stopAt)) return { url, status: 0, headers: new Headers(), text: "" };
    // What a page of another site leads to does not get the strictest cookies, however many steps it takes.
    const isFromElsewhere = isForeign || (from !== undefined && new URL(from).host !== new URL(url).host);
    const cookie = [...jarOf(url)]
      .filter(([, { strict }]) => !strict || !isFromElsewhere)
      .map(([name, { value }]) => `${name}=${value}`)
      .join("; ");
    const answer = await fetch(url, {
      method,
      redirect: "manual",
      tls: { rejectUnauthorized: false },
      ...(body !== undefined && { body }),
      headers: {
        ...(cookie !== "" && { cookie }),
        ...(method === "POST" && {
          origin: new URL(from ?? url).origin,
          "sec-fetch-site": isFromElsewhere ? "cross-site" : "same-origin",
        }),
      },
    });
    keep(url, answer.headers);
    const location = answer.headers.get("location");
    const text = await answer.text();
    if (location !== null && answer.status >= 300 && answer.status < 400)
      return send({ url: new URL(location, url).href, method: "GET", stopAt, from: url }, isFromElsewhere, step + 1);
    const [, onward] = /http-equiv="refresh" content="0;url=([^"]+)"/.exec(text) ?? [];
    const page = { url, status: answer.status, headers: answer.headers, text };
    // The page itself leads on now.
    if (onward === undefined) return page;
    return send({ url: new URL(unescaped(onward), url).href, method: "GET", stopAt, from: url }, false, step + 1);
  };
  return {
    open: (url, stopAt) => send({ url, method: "GET", stopAt }),
    submit(page, fields, stopAt) {
      const [, action = page.url] = /<form[^>]*\saction="([^"]+)"/.exec(page.text) ?? [];
      const body = new URLSearchParams();
      for (const [, name = "", value = ""] of page.text.matchAll(
        /<input type="hidden" name="([^"]+)" value="([^"]*)"/g,
      ))
        body.set(name, unescaped(value));
      for (const [name, value] of Object.entries(fields)) body.set(name, value);
      const url = new URL(unescaped(action), page.url).href;
      return send({ url, method: "POST", body, stopAt, from: page.url });
    },
    cookies: (host) => new Map([...(jars.get(host) ?? [])].map(([name, { value }]) => [name, value])),
  };
}

const signs: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};
const unescaped = (text: string): string => text.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (sign) => signs[sign] ?? sign);

/** Signs in at a provider and agrees to what it asks, until it leads back. */
export async function signInThere(
  browser: Browser,
  start: string,
  who: { name: string; stopAt?: string },
): Promise<Page> {
  let page = await browser.open(start, who.stopAt);
  if (page.text.includes('name="login"'))
    page = await browser.submit(page, { login: who.name, password: "any" }, who.stopAt);
  if (page.text.includes('value="consent"')) page = await browser.submit(page, {}, who.stopAt);
  return page;
}
