import { isSecret } from "./setting-paths.ts";

const hidden = "(hidden)";
const secretParameter = /pass|secret|token|key/i;

/** A setting's value as it may be shown: no secret, and no password inside an address. */
export function hideSecrets(path: string, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (isSecret(path)) return hidden;
  return hideInside(value);
}

const secretMember = /(?:password|secret|token|key)$/i;

/** A list of sections has the secrets of each. */
function hideInside(value: unknown): unknown {
  if (typeof value === "string") return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? hideInUrl(value) : value;
  if (Array.isArray(value)) return value.map(hideInside);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, secretMember.test(name) ? hidden : hideInside(member)]),
  );
}

function hideInUrl(text: string): string {
  if (!URL.canParse(text)) return text.includes("@") ? hidden : text;
  const url = new URL(text);
  // An unescaped / ? or # in a password ends the authority before its @.
  if (`${url.pathname}${url.search}${url.hash}`.includes("@")) return hidden;
  if (url.password !== "") url.password = "hidden";
  for (const name of new Set(url.searchParams.keys()))
    if (secretParameter.test(name)) url.searchParams.set(name, "hidden");
  return url.href;
}
