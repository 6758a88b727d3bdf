import { fail } from "../../oci/problem.ts";
import type { Account } from "../accounts.ts";
import { admit, askGuarded, guard, type SourcesDeps } from "./guarded-source.ts";
import { sourceOfAccount } from "./identities.ts";
import type { BroughtBack, BrowserSource, PendingSignIn } from "./source.ts";

export interface Going {
  readonly url: string;
  readonly pending: PendingSignIn;
}

export type BrowserSignIn =
  | { readonly kind: "account"; readonly account: Account }
  /** The source does not say who it is, or what it says is not to be believed; `why` is for the log. */
  | { readonly kind: "refused"; readonly why: string }
  /** They are new here, and the source does not let in who is. */
  | { readonly kind: "stranger" }
  /** By an administrator. */
  | { readonly kind: "disabled" }
  /** Has a password and a second factor here, which a source's word must not go around. */
  | { readonly kind: "second-factor" };

/** The sources that people go to with a browser. */
export interface BrowserSources {
  /** What they are called, for people, in the order of the configuration. */
  readonly labels: readonly { readonly name: string; readonly label: string }[];
  /** @throws RegistryError OBJECT_UNKNOWN, UNAVAILABLE, TOO_MANY_REQUESTS */
  begin(source: string, redirectUri: string): Promise<Going>;
  /** @throws RegistryError OBJECT_UNKNOWN, UNAVAILABLE, TOO_MANY_REQUESTS */
  finish(source: string, pending: PendingSignIn, brought: BroughtBack): Promise<BrowserSignIn>;
  /** Where somebody who signs out here can sign out of their source too. */
  endUrl(account: Pick<Account, "name">, returnUri: string): Promise<string | undefined>;
}

export function openBrowserSources(sources: readonly BrowserSource[], deps: SourcesDeps): BrowserSources {
  const guarded = new Map(sources.map((source) => [source.name, guard(source, deps)]));
  const named = (name: string) => guarded.get(name) ?? fail({ code: "OBJECT_UNKNOWN", what: "source of identity" });
  return {
    labels: sources.map(({ name, label }) => ({ name, label })),
    begin: async (name, redirectUri) => {
      const one = named(name);
      return askGuarded(one, deps, () => one.source.begin(redirectUri));
    },
    async finish(name, pending, brought) {
      const one = named(name);
      const answer = await askGuarded(one, deps, () => one.source.finish(pending, brought));
      deps.count(name, answer.kind);
      if (answer.kind === "refused") return answer;
      const account = await admit(one.source, deps, answer.identity);
      if (account === undefined) return { kind: "stranger" };
      if (account.disabled) return { kind: "disabled" };
      return account.secondFactor ? { kind: "second-factor" } : { kind: "account", account };
    },
    async endUrl({ name: account }, returnUri) {
      const one = guarded.get((await sourceOfAccount(deps.database, account)) ?? "");
      return one && askGuarded(one, deps, () => one.source.endUrl(returnUri));
    },
  };
}
