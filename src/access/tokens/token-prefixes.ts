import type { TokenOwnerKind } from "./tables.ts";

export const tokenPrefixes: Readonly<Record<TokenOwnerKind, string>> = { account: "berth_pat", robot: "berth_robot" };

/** What begins so is never a password. */
export const tokenPrefixOf = (text: string): string | undefined =>
  Object.values(tokenPrefixes).find((prefix) => text.startsWith(`${prefix}_`));
