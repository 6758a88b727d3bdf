import { isHashablePassword } from "../platform/passwords/passwords.ts";
import { tokenPrefixOf } from "./tokens/token-prefixes.ts";

const shortestPasswordCharacters = 8;

/** Why nobody may choose this password; `undefined` for one that will do. */
export function weaknessOf(password: string): string | undefined {
  if (password.trim().length < shortestPasswordCharacters) return "it has fewer than 8 characters";
  if (tokenPrefixOf(password) !== undefined) return "it begins as tokens do";
  return isHashablePassword(password) ? undefined : "it is longer than 1024 bytes";
}
