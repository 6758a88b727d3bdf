import { fail } from "../../oci/problem.ts";
import type { JsonValue } from "../../oci/json.ts";
import type { Incoming, Reply, ReplyHeaders } from "../../platform/runtime/http.ts";

const wholeNumber = /^\d{1,10}$/;

/**
 * The `n` of a list (distribution-spec, "Listing Tags").
 * @returns undefined when it is not given
 * @throws RegistryError PAGINATION_NUMBER_INVALID for anything but a whole number
 */
export function readPageSize({ query }: Incoming): number | undefined {
  const given = query.get("n");
  if (given === null || given === "") return undefined;
  if (!wholeNumber.test(given)) return fail({ code: "PAGINATION_NUMBER_INVALID", given: given.slice(0, 64) });
  return Number(given);
}

/** What lists compare with is a name; text that no database stores is after none and before none. */
export function readLast({ query }: Incoming): string | undefined {
  const last = query.get("last");
  if (last === null || last === "") return undefined;
  if (last.includes("\0") || !last.isWellFormed()) return fail({ code: "PAGINATION_NUMBER_INVALID", given: "last" });
  return last;
}

/** Relative, so that it is right behind any proxy; keeps the client's own parameters. */
export function nextLink({ path, query }: Incoming, next: Readonly<Record<string, string>>): ReplyHeaders {
  const parameters = new URLSearchParams(query);
  for (const [name, value] of Object.entries(next)) parameters.set(name, value);
  return { link: `<${path}?${parameters.toString()}>; rel="next"` };
}

/** As it is sent, so that the same page can be sent again. */
export const pageReply = (headers: ReplyHeaders, body: JsonValue): Reply => ({
  kind: "bytes",
  status: 200,
  headers: { "content-type": "application/json", ...headers },
  body: Buffer.from(JSON.stringify(body)),
});
