import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type AccountKey, keyAuthorization } from "./account-key.ts";
import { AcmeError } from "./acme-error.ts";
import type { AcmeFolder, KeptOrder } from "./acme-folder.ts";
import { type Answer, type Authority, authorityUrl, parseAnswer, refusalShape, told } from "./authority.ts";
import { certificateRequest } from "./certificate-request.ts";
import type { Challenge, Responder } from "./challenge.ts";
import { readIssued } from "./issued-certificate.ts";

export interface OrderDeps {
  readonly authority: Authority;
  /** Its URL. */
  readonly account: string;
  readonly key: AccountKey;
  readonly folder: AcmeFolder;
  readonly responder: Responder;
  readonly signal: AbortSignal;
}

/** Of any one step: an authority that is slower than this is tried again later. */
const stepLimitMs = 300_000;
const mostAuthorizations = 100;
const status = z.enum(["pending", "processing", "ready", "valid", "invalid", "deactivated", "expired", "revoked"]);

const orderShape = z.object({
  status,
  authorizations: z.array(authorityUrl).max(mostAuthorizations),
  finalize: authorityUrl,
  certificate: authorityUrl.optional(),
  error: refusalShape.optional(),
});
type Order = z.infer<typeof orderShape>;

const challengeShape = z.object({
  type: z.string(),
  url: authorityUrl,
  // It becomes part of a path.
  token: z.string().regex(/^[A-Za-z0-9_-]{16,256}$/),
  error: refusalShape.optional(),
});
const authorizationShape = z.object({
  status,
  identifier: z.object({ type: z.string(), value: z.string() }),
  // Types that are not known to us have whatever they have.
  challenges: z.array(z.unknown()).max(20),
});
type Authorization = z.infer<typeof authorizationShape>;

/** Orders a certificate and keeps it. @returns its chain and key in PEM @throws AcmeError, or what the way out throws */
export async function obtainCertificate(deps: OrderDeps, hosts: readonly string[], replaces?: string): Promise<string> {
  const { folder } = deps;
  const { kept, order: begun } = (await resume(deps, hosts)) ?? (await begin(deps, hosts, replaces));
  try {
    let order = begun;
    if (order.status === "pending") {
      await authorize(deps, order, hosts);
      order = await follow(deps, kept.url, (now) => now.status !== "pending");
    }
    const privateKey = createPrivateKey(kept.keyPem);
    if (order.status === "ready") {
      const csr = certificateRequest({ hosts, privateKey, publicKey: createPublicKey(privateKey) });
      await ask(deps, order.finalize, { csr: Buffer.from(csr).toString("base64url") });
    }
    order = await follow(deps, kept.url, (now) => now.status !== "processing" && now.status !== "ready");
    if (order.status !== "valid" || order.certificate === undefined) throw refusalOf(order);
    const { text } = await ask(deps, order.certificate, undefined);
    const pem = `${kept.keyPem}${readIssued(text, { hosts, privateKey, nowMs: Date.now() })}`;
    await folder.writeCertificate(pem);
    await folder.removeOrder();
    return pem;
  } catch (error) {
    // What is refused is not tried again as it is. An order that was broken off, or is to wait, is gone on with.
    if (error instanceof AcmeError && error.retryAfterMs === undefined) await folder.removeOrder();
    throw error;
  }
}

interface Begun {
  readonly kept: KeptOrder;
  readonly order: Order;
}

/** An order of before a crash, where the authority still knows it. */
async function resume(deps: OrderDeps, hosts: readonly string[]): Promise<Begun | undefined> {
  const kept = await deps.folder.readOrder();
  if (kept === undefined || kept.hosts.join(" ") !== hosts.join(" ")) return undefined;
  try {
    const order = await look(deps, kept.url);
    if (["pending", "ready", "processing", "valid"].includes(order.status)) return { kept, order };
  } catch (error) {
    if (!(error instanceof AcmeError)) throw error;
  }
  await deps.folder.removeOrder();
  return undefined;
}

async function begin(deps: OrderDeps, hosts: readonly string[], replaces: string | undefined): Promise<Begun> {
  const identifiers = hosts.map((value) => ({ type: "dns", value }));
  const wish = { identifiers, ...(replaces !== undefined && { replaces }) };
  const { location, text } = await ask(deps, deps.authority.directory.newOrder, wish);
  const url = authorityUrl.safeParse(location).data;
  if (url === undefined) throw new AcmeError("the authority does not say where the order is");
  const order = parseAnswer(orderShape, text, "order");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const kept = { url, hosts, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) };
  // A disk that takes no key takes no certificate: that is found out before one is spent.
  await deps.folder.writeOrder({ ...kept, hosts: [...hosts] });
  return { kept: { ...kept, hosts: [...hosts] }, order };
}

const ask = ({ authority, account }: OrderDeps, url: string, payload: object | undefined): Promise<Answer> =>
  authority.post(url, payload, account);

const look = async (deps: OrderDeps, url: string): Promise<Order> =>
  parseAnswer(orderShape, (await ask(deps, url, undefined)).text, "order");

const refusalOf = ({ status: given, error }: Order): AcmeError =>
  new AcmeError(`the order is ${given}${told(shortType(error?.type), error?.detail)}`);

const shortType = (type: string | undefined): string | undefined => type?.slice(type.lastIndexOf(":") + 1);

/** Shows that the hosts of an order are ours, all at once. */
async function authorize(deps: OrderDeps, order: Order, hosts: readonly string[]): Promise<void> {
  const open: (Challenge & { readonly authorization: string; readonly url: string })[] = [];
  for (const authorization of order.authorizations) {
    const { text } = await ask(deps, authorization, undefined);
    const found = parseAnswer(authorizationShape, text, "authorization");
    if (found.status === "valid") continue;
    const host = found.identifier.value.toLowerCase();
    if (!hosts.includes(host)) throw new AcmeError("the authority asks about a host that was not ordered");
    const { url, token } = challengeIn(found, deps.responder.type);
    open.push({ host, token, keyAuthorization: keyAuthorization(token, deps.key), authorization, url });
  }
  if (open.length === 0) return;
  const end = await deps.responder.answer(open);
  try {
    for (const { url } of open) await ask(deps, url, {});
    for (const { authorization, host } of open) await untilAuthorized(deps, authorization, host);
  } finally {
    await end();
  }
}

function challengeIn({ challenges, identifier }: Authorization, type: string): z.infer<typeof challengeShape> {
  for (const one of challenges) {
    const challenge = challengeShape.safeParse(one).data;
    if (challenge?.type === type) return challenge;
  }
  throw new AcmeError(`the authority offers no ${type} for ${identifier.value}`);
}

async function untilAuthorized(deps: OrderDeps, url: string, host: string): Promise<void> {
  const { status: final, challenges } = await poll(deps, {
    look: async () => {
      const answer = await ask(deps, url, undefined);
      return { answer, value: parseAnswer(authorizationShape, answer.text, "authorization") };
    },
    isDone: (now) => now.status !== "pending" && now.status !== "processing",
  });
  if (final === "valid") return;
  const { error } = challenges
    .map((one) => challengeShape.safeParse(one).data)
    .find((one) => one?.error !== undefined) ?? { error: undefined };
  throw new AcmeError(`${host} is not shown to be ours${told(shortType(error?.type), error?.detail)}`);
}

const follow = (deps: OrderDeps, url: string, isDone: (order: Order) => boolean): Promise<Order> =>
  poll(deps, {
    look: async () => {
      const answer = await ask(deps, url, undefined);
      return { answer, value: parseAnswer(orderShape, answer.text, "order") };
    },
    isDone,
  });

interface Poll<T> {
  readonly look: () => Promise<{ readonly answer: Answer; readonly value: T }>;
  readonly isDone: (value: T) => boolean;
}

const firstWaitMs = 250;
const longestWaitMs = 30_000;

/** Looks again and again, ever less often, or as the authority wishes. */
async function poll<T>({ signal }: OrderDeps, { look: once, isDone }: Poll<T>): Promise<T> {
  const deadline = performance.now() + stepLimitMs;
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    const { answer, value } = await once();
    if (isDone(value)) return value;
    const nextMs = Math.min(Math.max(answer.retryAfterMs ?? waitMs, firstWaitMs), longestWaitMs);
    if (performance.now() + nextMs > deadline) throw new AcmeError("the authority does not come to an end");
    await sleep(nextMs, undefined, { signal });
  }
}
