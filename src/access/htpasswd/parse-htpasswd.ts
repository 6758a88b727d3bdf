import { type AccountName, parseAccountName } from "../account-name.ts";

export interface HtpasswdEntry {
  readonly line: number;
  readonly name: AccountName;
  /** bcrypt. */
  readonly passwordHash: string;
}

export interface HtpasswdRefusal {
  readonly line: number;
  readonly reason: string;
}

export interface Htpasswd {
  readonly entries: readonly HtpasswdEntry[];
  readonly refused: readonly HtpasswdRefusal[];
}

/** A hash of a cost above this one takes longer than a second. */
const highestCost = 14;
const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** Apache's file of names and hashes; of those, as in distribution, bcrypt alone. Names have Berth's spelling then. */
export function parseHtpasswd(text: string): Htpasswd {
  const entries = new Map<AccountName, HtpasswdEntry>();
  const refused: HtpasswdRefusal[] = [];
  for (const [index, written] of text.split("\n").entries()) {
    const [line, content] = [index + 1, written.trim()];
    if (content === "" || content.startsWith("#")) continue;
    const parsed = parseLine(content);
    if (typeof parsed === "string") refused.push({ line, reason: parsed });
    else if (entries.has(parsed.name))
      refused.push({ line, reason: `a line before it has the account ${parsed.name}` });
    else entries.set(parsed.name, { ...parsed, line });
  }
  return { entries: [...entries.values()], refused };
}

/** @returns why it will not do, without what stands in it: that may be a password */
function parseLine(content: string): Omit<HtpasswdEntry, "line"> | string {
  const colon = content.indexOf(":");
  if (colon === -1) return "it has no colon";
  const name = parseAccountName(content.slice(0, colon));
  if (name === undefined) return "its name is none that an account can have";
  const passwordHash = content.slice(colon + 1).trim();
  const [, cost] = bcrypt.exec(passwordHash) ?? [];
  if (cost === undefined) return `the hash of ${name} is not bcrypt, as htpasswd -B writes it`;
  if (Number(cost) < 4 || Number(cost) > highestCost)
    return `the hash of ${name} has a cost that is not 4 to ${highestCost}`;
  return { name, passwordHash };
}
