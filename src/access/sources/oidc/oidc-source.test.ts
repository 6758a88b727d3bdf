import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser, signInThere } from "../../../../test/support/browser.ts";
import {
  type Misbehaviour,
  type People,
  type Provider,
  type ProviderOptions,
  startProvider,
} from "../../../../test/oidc/provider.ts";
import { selfSignedCertificate } from "../../../platform/certificates/self-signed-certificate.ts";
import { sourcesSchema } from "../../../platform/config/sources-schema.ts";
import type { BroughtBack, BrowserAnswer, BrowserSource, Identity, SourceStep } from "../source.ts";
import { SourceUnavailable } from "../source.ts";
import { sourceOf } from "../source-of.ts";

/** A provider starts in its own process. */
setDefaultTimeout(60_000);

/** Nobody listens there: the browser stops in front of it. */
const redirectUri = "http://127.0.0.1:9/sign-in/corp/callback";

const ann = { preferred_username: "Ann", name: "Ann Example", email: "ann@example.org" };

const sourceWith = ({ issuer, clientId, clientSecret }: Provider, more: object = {}): BrowserSource => {
  const [parsed] = sourcesSchema.parse([{ name: "corp", kind: "oidc", issuer, clientId, clientSecret, ...more }]);
  const source = parsed && sourceOf(parsed);
  if (source?.kind !== "browser") throw new Error("no source");
  return source;
};

interface Visit {
  readonly name?: string;
  /** What of the answer is another on its way back. */
  readonly changed?: Partial<BroughtBack>;
}

async function visit(source: BrowserSource, { name = "ann", changed = {} }: Visit = {}) {
  const { url, pending } = await source.begin(redirectUri);
  const back = await signInThere(openBrowser(), url, { name, stopAt: redirectUri });
  const { searchParams } = new URL(back.url);
  const [code, state, issuer, error] = ["code", "state", "iss", "error"].map(
    (one) => searchParams.get(one) ?? undefined,
  );
  const brought: BroughtBack = { code, state, issuer, error, ...changed };
  return { url: new URL(url), pending, brought, complete: () => source.finish(pending, brought) };
}

const answerOf = async (source: BrowserSource, wish: Visit = {}): Promise<BrowserAnswer> =>
  (await visit(source, wish)).complete();

async function identityOf(source: BrowserSource, name = "ann"): Promise<Identity> {
  const answer = await answerOf(source, { name });
  if (answer.kind !== "identity") throw new Error(answer.why);
  return answer.identity;
}

const failureOf = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof SourceUnavailable) return error.message;
  throw new Error(`not unavailable: ${String(error)}`);
};

const stepsOf = async (source: BrowserSource, name?: string): Promise<readonly SourceStep[]> => {
  const steps: SourceStep[] = [];
  for await (const step of source.test(name)) steps.push(step);
  return steps;
};

describe("a provider that does as it should", () => {
  let provider: Provider;
  const start = async (people: People): Promise<void> => provider.setPeople(people);
  beforeAll(async () => {
    provider = await startProvider({ people: { ann }, redirectUris: [redirectUri] });
  });
  afterEach(async () => {
    await provider.misbehave(undefined);
    await start({ ann });
  });
  afterAll(() => provider[Symbol.asyncDispose]());

  test("tells who somebody is, by an id that is the issuer's", async () => {
    expect(await identityOf(sourceWith(provider))).toEqual({
      subject: `${provider.issuer}#ann`,
      name: "ann",
      displayName: "Ann Example",
      email: "ann@example.org",
      groups: [],
      roles: [],
      restricted: false,
    });
  });

  test("is asked with PKCE, a state and a nonce, which no other sign-in has", async () => {
    const source = sourceWith(provider);
    const [one, other] = [await source.begin(redirectUri), await source.begin(redirectUri)];
    const { searchParams } = new URL(one.url);
    expect(Object.fromEntries(searchParams)).toMatchObject({
      response_type: "code",
      client_id: "berth",
      redirect_uri: redirectUri,
      scope: "openid profile email",
      state: one.pending.state,
      nonce: one.pending.nonce,
      code_challenge_method: "S256",
    });
    expect(searchParams.get("code_challenge")).toHaveLength(43);
    for (const part of ["state", "nonce", "verifier"] as const) {
      expect(one.pending[part]).toHaveLength(43);
      expect(one.pending[part]).not.toBe(other.pending[part]);
      expect(one.url).not.toContain(one.pending.verifier);
    }
  });

  test("takes a code once, and with the verifier of its own sign-in alone", async () => {
    const source = sourceWith(provider);
    const { pending, brought, complete } = await visit(source);
    expect(await complete()).toMatchObject({ kind: "identity" });
    expect(await complete()).toEqual({ kind: "refused", why: "the provider does not take the code, or not again" });
    const stolen = await visit(source);
    const mine = await source.begin(redirectUri);
    const swapped = { ...stolen.brought, state: mine.pending.state };
    expect(await source.finish(mine.pending, swapped)).toMatchObject({ kind: "refused" });
    expect(await source.finish({ ...pending, state: brought.state ?? "" }, brought)).toMatchObject({ kind: "refused" });
  });

  test.each([
    ["another state", { state: "another" }, "the state is not that of this sign-in"],
    ["no state", { state: undefined }, "the state is not that of this sign-in"],
    ["another issuer", { issuer: "https://evil.example" }, "the answer is another issuer's, or does not say whose"],
    [
      "no issuer, which this one always names",
      { issuer: undefined },
      "the answer is another issuer's, or does not say whose",
    ],
    ["no code", { code: undefined }, "there is no code"],
    ["an empty code", { code: "" }, "there is no code"],
    ["another code", { code: "another" }, "the provider does not take the code, or not again"],
    ["an error", { error: "access_denied" }, "the provider answers access_denied"],
    [
      "an error that is more than a word",
      { error: `<b>\n${"x".repeat(100)}` },
      /^the provider answers <b>[^\n]{1,90}$/,
    ],
  ] as const)("lets nobody in with %s", async (_what, changed, why) => {
    const answer = await answerOf(sourceWith(provider), { changed });
    expect(answer).toEqual({ kind: "refused", why: typeof why === "string" ? why : expect.stringMatching(why) });
  });

  test("is told from who lies in its name", async () => {
    const source = sourceWith(provider);
    const faults: Readonly<Partial<Record<Misbehaviour, string>>> = {
      "wrong-nonce": "nonce",
      "no-nonce": "nonce",
      "wrong-audience": "audience",
      "more-audiences": "audience",
      "wrong-party": "azp",
      "wrong-issuer": "issuer",
      expired: "expired",
      "another-key": "signature",
      unsigned: "algorithm",
      "shared-secret": "algorithm",
    };
    for (const [how, fault] of Object.entries(faults)) {
      await provider.misbehave(how as Misbehaviour);
      expect([how, await answerOf(source)]).toEqual([
        how,
        { kind: "refused", why: `the ID token is no good: ${fault}` },
      ]);
    }
    await provider.misbehave("token-endpoint-fails");
    expect(await failureOf(answerOf(source))).toBe("its token endpoint answers 500");
    await provider.misbehave(undefined);
    expect(await answerOf(source)).toMatchObject({ kind: "identity" });
  });

  test("may name others whom its tokens are for, or who have asked for them, where the settings do", async () => {
    const source = sourceWith(provider, { audiences: ["another-client"], authorizedParties: ["another-client"] });
    for (const how of ["more-audiences", "wrong-party"] as const) {
      await provider.misbehave(how);
      expect(await answerOf(source)).toMatchObject({ kind: "identity" });
    }
    await provider.misbehave("wrong-audience");
    expect(await answerOf(source)).toMatchObject({ kind: "refused" });
  });

  test.each([
    ["a list", ["devs", "ops"], ["devs", "ops"]],
    ["one text", "devs", ["devs"]],
    ["nothing", undefined, []],
    ["what are no names", [1, null, "", "a\0b", "devs", { a: 1 }, "x".repeat(1025), "devs"], ["devs"]],
  ])("tells groups as %s", async (_what, groups, found) => {
    await start({ ann: { ...ann, groups } });
    const source = sourceWith(provider, { scopes: ["openid", "profile", "groups"], groups: {} });
    expect((await identityOf(source)).groups).toEqual(found);
  });

  test("tells groups of which some count, who may sign in, and who administers", async () => {
    await start({ ann: { ...ann, roles: { berth: ["dev-a", "ops", "admins"] } }, bob: { preferred_username: "bob" } });
    const source = sourceWith(provider, {
      scopes: ["openid", "profile", "groups"],
      groups: {
        claim: "roles.berth",
        filter: ["dev-*", "admins"],
        required: ["dev-a", "dev-b"],
        adminGroup: "admins",
        auditorGroup: "ops",
      },
    });
    expect(await identityOf(source)).toMatchObject({ groups: ["dev-a", "admins"], roles: ["administrator"] });
    expect(await answerOf(source, { name: "bob" })).toEqual({
      kind: "refused",
      why: "they are in none of groups.required",
    });
  });

  test("lets nobody in whose groups it does not tell because there are so many", async () => {
    await start({ ann: { ...ann, _claim_names: { groups: "src1" } } });
    const source = sourceWith(provider, { scopes: ["openid", "profile", "groups"], groups: {} });
    expect(await answerOf(source)).toEqual({
      kind: "refused",
      why: "the provider does not name the groups, as there are too many",
    });
  });

  test("has to tell a name", async () => {
    for (const preferred_username of [undefined, "", " ", 7, "a\0b"]) {
      await start({ ann: { ...ann, preferred_username } });
      expect(await answerOf(sourceWith(provider))).toMatchObject({ kind: "refused" });
    }
    const byMail = sourceWith(provider, { nameClaim: "email" });
    expect((await identityOf(byMail)).name).toBe("ann@example.org");
  });

  test("is tried out without a browser, step by step", async () => {
    expect(await stepsOf(sourceWith(provider))).toEqual([
      { step: "discover", ok: true, detail: `${provider.issuer}/auth` },
      { step: "keys", ok: true, detail: `1 at ${provider.issuer}/jwks` },
      { step: "client", ok: true, detail: "berth is known there" },
    ]);
    const [last] = (await stepsOf(sourceWith(provider, { clientSecret: "wrong" }))).slice(-1);
    expect(last).toEqual({ step: "client", ok: false, detail: "it refuses clientId with its secret" });
    await provider.misbehave("codes-malformed");
    const [unclear] = (await stepsOf(sourceWith(provider))).slice(-1);
    expect(unclear).toEqual({ step: "client", ok: false, detail: "its token endpoint answers invalid_request" });
    await provider.misbehave(undefined);
    const [found] = (await stepsOf(sourceWith(provider), "ann")).slice(-1);
    expect(found).toMatchObject({ step: "find", ok: false });
    const elsewhere = await stepsOf(sourceWith(provider, { issuer: `${provider.issuer}/other` }));
    expect(elsewhere).toEqual([expect.objectContaining({ step: "discover", ok: false })]);
  });

  test("is where people sign out too, where the settings say so", async () => {
    expect(await sourceWith(provider).endUrl("https://registry.example/sign-in")).toBeUndefined();
    const end = await sourceWith(provider, { signOut: true }).endUrl("https://registry.example/sign-in");
    expect(end).toBe(
      `${provider.issuer}/session/end?client_id=berth&post_logout_redirect_uri=https%3A%2F%2Fregistry.example%2Fsign-in`,
    );
  });
});

const withProvider = async (options: Partial<ProviderOptions>, work: (provider: Provider) => Promise<void>) => {
  await using provider = await startProvider({ people: { ann }, redirectUris: [redirectUri], ...options });
  await work(provider);
};

describe("other providers", () => {
  test("tell names and groups at the userinfo endpoint alone, and of the same person", () =>
    withProvider({ claimsAtUserinfo: true, people: { ann: { ...ann, groups: "devs" } } }, async (provider) => {
      const source = sourceWith(provider, { scopes: ["openid", "profile", "groups"], groups: {} });
      expect(await identityOf(source)).toMatchObject({ name: "ann", groups: ["devs"] });
      await provider.misbehave("userinfo-of-another");
      expect(await answerOf(source)).toEqual({
        kind: "refused",
        why: "its userinfo endpoint tells of somebody else",
      });
    }));

  test("want the secret in the form, from a file", () =>
    withProvider({ authMethod: "client_secret_post" }, async (provider) => {
      const folder = await mkdtemp(join(tmpdir(), "berth-oidc-"));
      const clientSecretFile = join(folder, "secret");
      const source = sourceWith(provider, { clientSecret: undefined, clientSecretFile });
      expect(await failureOf(answerOf(source))).toBe(`clientSecretFile: ${clientSecretFile} cannot be read`);
      await writeFile(clientSecretFile, `${provider.clientSecret}\n`);
      expect(await answerOf(source)).toMatchObject({ kind: "identity" });
      await rm(folder, { recursive: true });
    }));

  test("want none", () =>
    withProvider({ authMethod: "none" }, async (provider) => {
      expect(await answerOf(sourceWith(provider, { clientSecret: undefined }))).toMatchObject({ kind: "identity" });
    }));

  test("have TLS with an authority of their own, which has to be named", async () => {
    const [from, until] = [new Date(Date.now() - 86_400_000), new Date(Date.now() + 86_400_000)];
    const { certPem: cert, keyPem: key } = selfSignedCertificate({ hosts: ["localhost"], from, until });
    const folder = await mkdtemp(join(tmpdir(), "berth-oidc-"));
    const caFile = join(folder, "ca.pem");
    await writeFile(caFile, cert);
    await withProvider({ tls: { cert, key } }, async (provider) => {
      expect(await answerOf(sourceWith(provider, { caFile }))).toMatchObject({ kind: "identity" });
      expect(await failureOf(sourceWith(provider).begin(redirectUri))).toContain(provider.issuer);
    });
    await rm(folder, { recursive: true });
  });

  test("that do not answer let nobody in, and do again when they are back", () =>
    withProvider({}, async (provider) => {
      const source = sourceWith(provider);
      const { complete } = await visit(source);
      await provider.kill();
      expect(await failureOf(complete())).toContain("localhost");
      await provider.start();
      expect(await answerOf(source)).toMatchObject({ kind: "identity" });
    }));
});
