import { expect, it } from "bun:test";
import { codeOf } from "../../src/access/second-factor/totp.ts";
import { basic } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { fromBase32 } from "./base32.ts";
import { type Api, expectRefused, freshName, password, useApi } from "./checked-api.ts";

const signIn = (api: Api, name: string, code?: string) =>
  api.ask("POST", "/session", { as: null, json: { name, password, ...(code !== undefined && { code }) } });

/** An account that has confirmed its second factor. */
async function enrolled(api: Api) {
  const name = freshName("careful");
  const as = [name, password] as const;
  await api.ask("POST", "/accounts", { json: { name, password } });
  const made = await api.ask("POST", "/me/second-factor", { as, json: { password } });
  const { secret, uri } = made.json() as { readonly secret: string; readonly uri: string };
  expect(uri).toContain(`secret=${secret}`);
  const key = fromBase32(secret);
  const step = Math.floor(Date.now() / 30_000);
  const confirmed = await api.ask("POST", "/me/second-factor/confirmation", { as, json: { code: codeOf(key, step) } });
  const { recoveryCodes } = confirmed.json() as { readonly recoveryCodes: readonly string[] };
  return { name, as, recoveryCodes, used: codeOf(key, step), next: codeOf(key, step + 1) };
}

describeEachDatabase("a second factor", (dialect) => {
  const api = useApi({ dialect });

  it("is asked for once a code has confirmed it, and each code is good once, however many bring it at once", async () => {
    const { name, used, next, recoveryCodes } = await enrolled(api);
    expect(new Set(recoveryCodes).size).toBe(10);
    expectRefused(await signIn(api, name), 401, "SECOND_FACTOR_REQUIRED");
    expectRefused(await signIn(api, name, used), 401, "UNAUTHORIZED");
    const together = await Promise.all(Array.from({ length: 4 }, () => signIn(api, name, next)));
    expect(together.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 401, 401, 401]);
    expectRefused(await signIn(api, name, next), 401, "UNAUTHORIZED");
  });

  it("can be a recovery code, each once", async () => {
    const { name, recoveryCodes } = await enrolled(api);
    const [first = "", second = ""] = recoveryCodes;
    const together = await Promise.all([signIn(api, name, first), signIn(api, name, first)]);
    expect(together.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 401]);
    const other = await signIn(api, name, ` ${second.toUpperCase().replaceAll("-", "")} `);
    expect(other.status).toBe(200);
    expect((await api.ask("GET", `/accounts/${name}`)).json()).toMatchObject({ secondFactor: true });
  });

  it("leaves no way in by the password alone, and ends what was there before", async () => {
    const name = freshName("before");
    const as = [name, password] as const;
    await api.ask("POST", "/accounts", { json: { name, password } });
    const cookie = (await signIn(api, name)).header("set-cookie")?.split(";", 1)[0] ?? "";
    const token = async () =>
      ((await api.registry.as(basic(...as)).send("GET", "/token?service=berth")).json() as { token?: string }).token;
    const bearer = `Bearer ${(await token()) ?? ""}`;
    expect((await api.registry.as(bearer).send("GET", "/v2/")).status).toBe(200);
    const { secret } = (await api.ask("POST", "/me/second-factor", { as, json: { password } })).json() as {
      secret: string;
    };
    // Not before it is confirmed.
    expect((await api.ask("GET", "/me", { as })).status).toBe(200);
    const code = codeOf(fromBase32(secret), Math.floor(Date.now() / 30_000));
    await api.ask("POST", "/me/second-factor/confirmation", { as, json: { code } });
    expectRefused(await api.ask("GET", "/me", { as: null, headers: { cookie } }), 401, "UNAUTHORIZED");
    expectRefused(await api.ask("GET", "/me", { as }), 401, "UNAUTHORIZED");
    expect((await api.registry.as(bearer).send("GET", "/v2/")).status).toBe(401);
    expect((await api.registry.as(basic(...as)).send("GET", "/v2/")).status).toBe(401);
    expect(await token()).toBeUndefined();
  });

  it("is tried out no more than a password is", async () => {
    const { name, recoveryCodes } = await enrolled(api);
    for (let count = 0; count < 10; count++) {
      // The right password in between begins nothing anew.
      if (count === 5) expectRefused(await signIn(api, name), 401, "SECOND_FACTOR_REQUIRED");
      expectRefused(await signIn(api, name, "000000"), 401, "UNAUTHORIZED");
    }
    expectRefused(await signIn(api, name, recoveryCodes[0]), 429, "TOO_MANY_REQUESTS");
  });

  it("is taken away by its owner with the password, and by an administrator", async () => {
    const { name, recoveryCodes } = await enrolled(api);
    const cookie = (await signIn(api, name, recoveryCodes[0])).header("set-cookie")?.split(";", 1)[0] ?? "";
    const origin = api.registry.server().url;
    const remove = (given: string) =>
      api.ask("POST", "/me/second-factor/removal", {
        as: null,
        headers: { cookie, origin },
        json: { password: given },
      });
    expectRefused(await remove("not-the-password"), 400, "INPUT_INVALID");
    expect((await remove(password)).status).toBe(204);
    expect((await signIn(api, name)).status).toBe(200);
    const { name: other } = await enrolled(api);
    const path = `/accounts/${other}/second-factor`;
    const removes = [{ kind: "second factor", name: other, count: 1 }];
    expect((await api.ask("DELETE", `${path}?dryRun=true`)).json()).toEqual({ dryRun: true, removes });
    expectRefused(await signIn(api, other), 401, "SECOND_FACTOR_REQUIRED");
    expect((await api.ask("DELETE", path)).json()).toEqual({ dryRun: false, removes });
    expect((await signIn(api, other)).status).toBe(200);
    expect((await api.ask("DELETE", path)).json()).toEqual({ dryRun: false, removes: [] });
  });

  it("is made and confirmed in this order, and only by somebody who has the password", async () => {
    const name = freshName("order");
    const as = [name, password] as const;
    await api.ask("POST", "/accounts", { json: { name, password } });
    const confirm = (code: string) => api.ask("POST", "/me/second-factor/confirmation", { as, json: { code } });
    expectRefused(await confirm("123456"), 409, "CONFLICT");
    const wrong = await api.ask("POST", "/me/second-factor", { as, json: { password: "not-the-password" } });
    expectRefused(wrong, 400, "INPUT_INVALID");
    await api.ask("POST", "/me/second-factor", { as, json: { password } });
    expectRefused(await confirm("abcdef"), 400, "INPUT_INVALID");
    expect((await signIn(api, name)).status).toBe(200);
  });
});
