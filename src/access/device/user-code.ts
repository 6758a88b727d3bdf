import { randomInt } from "node:crypto";
import type { Brand } from "../../oci/brand.ts";

/** What a person reads on one device and types on another, as it is stored. */
export type UserCode = Brand<string, "UserCode">;

/** RFC 8628, 6.1: without vowels, so that no word comes of it, and nothing that looks like something else. */
const letters = "BCDFGHJKLMNPQRSTVWXZ";
const length = 8;
const form = new RegExp(`^[${letters}]{${length}}$`);
const isUserCode = (text: string): text is UserCode => form.test(text);

export function makeUserCode(): UserCode {
  const text = Array.from({ length }, () => letters.charAt(randomInt(letters.length))).join("");
  if (!isUserCode(text)) throw new Error("a code of other letters");
  return text;
}

/** However it was typed. */
export function parseUserCode(text: string): UserCode | undefined {
  const code = text
    .slice(0, 64)
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, "");
  return isUserCode(code) ? code : undefined;
}

export const formatUserCode = (code: UserCode): string => `${code.slice(0, length / 2)}-${code.slice(length / 2)}`;
