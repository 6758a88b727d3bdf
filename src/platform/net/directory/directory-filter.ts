import { AndFilter, EqualityFilter, ExtensibleFilter, type Filter, FilterParser, OrFilter } from "ldapts";

/** What is looked for. Values are data of their own, so nothing in them is ever read as a part of the filter. */
export type DirectoryFilter =
  /** As the operator has written it (RFC 4515). */
  | { readonly text: string }
  | { readonly attribute: string; readonly equals: string | Uint8Array }
  /** By one of the server's matching rules. */
  | { readonly attribute: string; readonly rule: string; readonly matches: string }
  | { readonly all: readonly DirectoryFilter[] }
  | { readonly any: readonly DirectoryFilter[] };

export function toLdapFilter(filter: DirectoryFilter): Filter {
  if ("text" in filter) return FilterParser.parseString(decodeUtf8(filter.text));
  if ("all" in filter) return new AndFilter({ filters: filter.all.map(toLdapFilter) });
  if ("any" in filter) return new OrFilter({ filters: filter.any.map(toLdapFilter) });
  const { attribute } = filter;
  if ("rule" in filter) return new ExtensibleFilter({ matchType: attribute, rule: filter.rule, value: filter.matches });
  const { equals } = filter;
  return new EqualityFilter({ attribute, value: typeof equals === "string" ? equals : Buffer.from(equals) });
}

/** Escaped bytes beyond ASCII are parts of a character, which the parser would take for one each. */
const decodeUtf8 = (text: string): string =>
  text.replaceAll(/(?:\\[89a-f][0-9a-f])+/gi, (escaped) =>
    Buffer.from(escaped.replaceAll("\\", ""), "hex").toString("utf8"),
  );
