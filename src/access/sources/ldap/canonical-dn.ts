/**
 * One spelling for all that a directory takes for the same name (RFC 4514): for comparing. Names of attributes and values
 * are compared without case, as those that groups are named by are. `undefined`: it is no DN.
 */
export function canonicalDn(text: string): string | undefined {
  const names = splitUnescaped(text, ",").map((relative) => {
    const parts = splitUnescaped(relative, "+").map(canonicalPart);
    const known = parts.filter((part) => part !== undefined);
    return known.length < parts.length ? undefined : known.toSorted(byText).join("+");
  });
  return names.includes(undefined) ? undefined : names.join(",");
}

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

function canonicalPart(part: string): string | undefined {
  const equals = part.indexOf("=");
  const attribute = part.slice(0, Math.max(0, equals)).trim().toLowerCase();
  if (!/^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)*)$/.test(attribute)) return undefined;
  // Spaces at the ends that are not escaped are not part of the value; those inside count as one.
  const written = part.slice(equals + 1).replaceAll(/^ +|(?<!\\) +$/g, "");
  const value = unescapeDn(written);
  return value === undefined ? undefined : `${attribute}=${escapeDn(value.replaceAll(/ +/g, " ").toLowerCase())}`;
}

function splitUnescaped(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === separator) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

/** A sign behind a backslash, or the bytes of one in hex. */
function unescapeDn(value: string): string | undefined {
  let isWhole = true;
  const text = value.replaceAll(/(?:\\[0-9a-f]{2})+|\\(.?)/gi, (found, sign: string | undefined) => {
    if (sign === undefined) return Buffer.from(found.replaceAll("\\", ""), "hex").toString("utf8");
    if (sign === "") isWhole = false;
    return sign;
  });
  return isWhole ? text : undefined;
}

/** Every sign that means something in a DN, so that no value is taken for two. */
const escapeDn = (value: string): string =>
  value.replaceAll(/[\\,+"<>;=#\0]/g, (sign) => `\\${sign === "\0" ? "00" : sign}`);
