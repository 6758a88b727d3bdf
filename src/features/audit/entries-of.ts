import type { JsonObject } from "../../oci/json.ts";
import { type AccessEvent, type Envelope, server } from "../../platform/events/access-event.ts";
import type { Change } from "../../platform/events/consume-events.ts";
import type { RegistryEvent } from "../../platform/events/registry-event.ts";
import type { Entry } from "./entry.ts";

/** What somebody did, of all that happened in a change. */
export const entriesOf = ({ at, events, envelope: by = server }: Change): readonly Entry[] =>
  events.flatMap((event) => {
    const told = event.kind === "access-changed" ? ofAccess(event) : ofRegistry(event, by);
    return told === undefined ? [] : { at, outcome: "done" as const, by, ...told };
  });

type Told = Pick<Entry, "action" | "repository" | "target" | "detail">;

function ofAccess({ action, target, before, after }: AccessEvent): Told {
  return {
    action,
    target: target.name,
    detail: { id: target.id, ...(before && { before }), ...(after && { after }) },
  };
}

/** Nothing of what follows by itself, and of housekeeping: bytes that come and go are told by what names them. */
function ofRegistry(event: RegistryEvent, { actor }: Envelope): Told | undefined {
  switch (event.kind) {
    case "repository-created":
    case "repository-deleted":
      return { action: event.kind, repository: event.repository, detail: {} };
    case "visibility-changed":
      return {
        action: event.kind,
        repository: event.repository,
        detail: { before: event.from, after: event.visibility },
      };
    case "manifest-pushed":
    case "manifest-deleted":
    case "blob-added":
      return onDigest(event);
    case "blob-removed":
      // What a lease has run out of, the collector takes: nobody has asked for it.
      return actor.kind === "system" ? undefined : onDigest(event);
    case "blob-withheld":
      return { action: event.at === null ? "blob-given-back" : event.kind, target: event.digest, detail: {} };
    case "tag-created":
      return onTag(event, { digest: event.digest });
    case "tag-moved":
      return onTag(event, { from: event.from, digest: event.digest });
    case "tag-deleted":
      return onTag(event, { from: event.from });
    case "blob-stored":
    case "blob-dropped":
    case "bytes-doomed":
    case "bytes-deleted":
    case "manifest-stored":
    case "manifest-dropped":
      return undefined;
    default:
      return event satisfies never;
  }
}

const onDigest = ({
  kind,
  repository,
  digest,
}: Extract<RegistryEvent, { readonly repository: string; readonly digest: string; readonly tag?: never }>): Told => ({
  action: kind,
  repository,
  target: digest,
  detail: {},
});

const onTag = (
  { kind, repository, tag }: Extract<RegistryEvent, { readonly tag: string }>,
  detail: JsonObject,
): Told => ({ action: kind, repository, target: tag, detail });
