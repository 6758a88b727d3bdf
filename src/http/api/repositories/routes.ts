import type { Labels } from "../../../access/api/labels.ts";
import { usualItems, toTime } from "../../../access/api/parameters.ts";
import { one, type Removed, some } from "../../../access/api/removal.ts";
import { type Route, route } from "../../../access/api/route.ts";
import type { ChangeDeps } from "../../../access/change-access.ts";
import { dropRightsOn } from "../../../access/organizations/namespaces.ts";
import { changing } from "../../../access/organizations/routes.ts";
import { dropLabels, labelsOf, listLabelled } from "../../../features/descriptions/labels.ts";
import { dropDescription } from "../../../features/descriptions/store-description.ts";
import type { Authorization } from "../../../access/authorize.ts";
import type { Caller } from "../../../access/principal.ts";
import type { Visibilities } from "../../../access/visible-to.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { RepositoryName, Tag } from "../../../oci/names.ts";
import { fail } from "../../../oci/problem.ts";
import { parseReference, type Reference } from "../../../oci/reference.ts";
import type { Reader } from "../../../platform/database/database.ts";
import type { RecordingWriter } from "../../../platform/events/record-events.ts";
import { copyManifest, planCopy, rehearseCopy } from "../../../registry/copy-manifest.ts";
import { removeManifest, removeTag } from "../../../registry/delete-manifest.ts";
import { removeRepository } from "../../../registry/delete-repository.ts";
import type { PushCondition } from "../../../registry/push-manifest.ts";
import { type Registry, withTagRights } from "../../../registry/registry.ts";
import type { Page } from "../../../registry/repositories.ts";
import {
  findTagSummary,
  listManifestSummaries,
  listRepositorySummaries,
  listTagSummaries,
  type RepositorySummary,
  summarizeRepositories,
  type TagSummary,
} from "../../../registry/summaries.ts";
import { deniedBy } from "../../../access/denied-by.ts";
import { refusalOf } from "../../distribution/tag-refusal.ts";
import * as contracts from "./contract.ts";
import { inspectManifest } from "./inspect-manifest.ts";

export interface RepositoryRoutesDeps extends ChangeDeps {
  readonly registry: Registry;
  readonly authorization: Authorization;
  readonly visibleTo: Visibilities["visibleTo"];
  /** `delete.enabled` */
  readonly deletesEnabled: boolean;
}

export const repositoryRoutes = (deps: RepositoryRoutesDeps): readonly Route[] => [
  ...readingRoutes(deps),
  ...taggingRoutes(deps),
  ...deletingRoutes(deps),
];

function readingRoutes({ registry, visibleTo }: RepositoryRoutesDeps): readonly Route[] {
  return [
    route(contracts.listRepositories, async ({ caller, query: { prefix = "", label, after, limit = usualItems } }) => {
      const { read } = registry.database;
      const { visible } = await visibleTo(caller);
      const asked = { prefix, after, limit };
      const page = await (label === undefined
        ? listRepositorySummaries(registry, visible, asked)
        : listLabelled(read, visible, { ...asked, label }));
      const labels = await labelsOf(
        read,
        page.items.map(({ id }) => id),
      );
      return pageAs(page, shownWith(labels), ({ name }) => name);
    }),
    route(contracts.showRepository, async ({ params: { repository } }) => {
      const { read } = registry.database;
      const [found] = await summarizeRepositories(read, [repository]);
      if (found === undefined) return fail({ code: "NAME_UNKNOWN", name: repository });
      return shownWith(await labelsOf(read, [found.id]))(found);
    }),
    route(contracts.listTags, async ({ params: { repository }, query: { digest, after, limit = usualItems } }) => {
      await requireRepository(registry.database.read, repository);
      const page = await listTagSummaries(registry, repository, { digest, after, limit });
      return pageAs(page, shownTag, ({ name }) => name);
    }),
    route(contracts.showTag, ({ params: { repository, tag } }) => requireTag(registry.database.read, repository, tag)),
    route(contracts.listManifests, async ({ params: { repository }, query: { after, limit = usualItems } }) => {
      await requireRepository(registry.database.read, repository);
      const page = await listManifestSummaries(registry, repository, { after, limit });
      return pageAs(
        page,
        ({ pushedAt, ...manifest }) => ({ ...manifest, pushedAt: toTime(pushedAt) }),
        ({ digest }) => digest,
      );
    }),
    route(contracts.showManifest, ({ params: { repository, reference } }) =>
      inspectManifest(registry, repository, requireReference(reference)),
    ),
  ];
}

function taggingRoutes({ registry, authorization }: RepositoryRoutesDeps): readonly Route[] {
  return [
    route(contracts.setTag, async ({ caller, params: { repository, tag }, body, envelope, dryRun, commit }) => {
      const source = body.from ?? repository;
      await requireReadable(authorization, caller, source);
      const refuses = refusalOf(await authorization.judge(caller, repository));
      const ruled = withTagRights({ ...registry, by: envelope }, refuses);
      const reference = requireReference(body.reference);
      const condition = conditionOf(body.expected);
      const plan = await planCopy(ruled, { source, reference, target: repository, tags: [tag], condition });
      const { read } = registry.database;
      const previous = (await findTagSummary(read, repository, tag))?.digest;
      const result = async (reader: Reader) => ({
        ...(await requireTag(reader, repository, tag)),
        previous,
        copied: { manifests: plan.newManifests, blobs: plan.newBlobs },
      });
      if (dryRun) {
        return commit(async (tx) => {
          await rehearseCopy(ruled, tx, plan);
          return result(tx);
        });
      }
      await copyManifest(ruled, plan);
      return result(read);
    }),
  ];
}

function deletingRoutes(deps: RepositoryRoutesDeps): readonly Route[] {
  const { registry } = deps;
  return [
    route(contracts.deleteRepository, async (call) => {
      const { repository } = call.params;
      requireDeletes(deps);
      await requireUnprotected(deps, call.caller, repository);
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const removed = await removeRepository(registry, tx, repository);
        if (removed === undefined) return fail({ code: "NAME_UNKNOWN", name: repository });
        const { id, tags, manifests, uploads } = removed;
        await dropRightsOn(change, id);
        await dropDescription(tx, id);
        await dropLabels(tx, id);
        const content = [...some("tag", tags), ...some("manifest", manifests), ...some("upload", uploads)];
        return { dryRun: call.dryRun, removes: [one("repository", repository), ...content] };
      });
    }),
    route(contracts.deleteTag, async ({ caller, params: { repository, tag }, dryRun, commit }) => {
      const remove = await remover(deps, caller, { repository, tags: [tag], manifests: [] });
      return commit(async (tx) => ({ dryRun, removes: await remove(tx) }));
    }),
    route(contracts.deleteManifest, async ({ caller, params: { repository, reference }, dryRun, commit }) => {
      const remove = await remover(deps, caller, { repository, tags: [], manifests: [reference] });
      return commit(async (tx) => ({ dryRun, removes: await remove(tx) }));
    }),
    route(contracts.deleteMany, async ({ caller, params: { repository }, body, dryRun, commit }) => {
      const { tags = [], manifests = [] } = body;
      const remove = await remover(deps, caller, { repository, tags, manifests });
      return commit(async (tx) => ({ dryRun, removes: await remove(tx) }));
    }),
  ];
}

interface ToRemove {
  readonly repository: RepositoryName;
  readonly tags: readonly Tag[];
  readonly manifests: readonly Digest[];
}

/** What removes all of it, once its rights are known; one that is not there undoes the others. */
async function remover(
  deps: RepositoryRoutesDeps,
  caller: Caller,
  { repository, tags, manifests }: ToRemove,
): Promise<(tx: RecordingWriter) => Promise<Removed[]>> {
  const { registry, authorization } = deps;
  requireDeletes(deps);
  // Others may need it, and it may have no tag: a right that is limited to some tags is none to it.
  if (manifests.length > 0) await requireUnprotected(deps, caller, repository);
  const ruled = withTagRights(registry, refusalOf(await authorization.judge(caller, repository)));
  return async (tx) => {
    const removed: Removed[] = [];
    for (const tag of [...new Set(tags)].toSorted()) {
      if (!(await removeTag(ruled, tx, { repository, tag }))) fail({ code: "MANIFEST_UNKNOWN", reference: tag });
      removed.push(one("tag", tag));
    }
    for (const digest of [...new Set(manifests)].toSorted()) {
      const named = await removeManifest(ruled, tx, { repository, digest });
      if (named === undefined) fail({ code: "MANIFEST_UNKNOWN", reference: digest });
      else removed.push(one("manifest", digest), ...tagsAmong(named));
    }
    return removed;
  };
}

function requireDeletes({ deletesEnabled }: RepositoryRoutesDeps): void {
  if (deletesEnabled) return;
  const reason = "deletes are switched off (delete.enabled)";
  fail({ code: "METHOD_UNSUPPORTED", allow: ["GET", "HEAD", "PUT"], reason });
}

/** Whoever may delete here, whatever the tag: no rule keeps one from them. @throws RegistryError */
async function requireUnprotected(
  { authorization }: RepositoryRoutesDeps,
  caller: Caller,
  name: RepositoryName,
): Promise<void> {
  const decision = await authorization.authorize(caller, "delete", { kind: "repository", name });
  if (!decision.allowed) fail(deniedBy(decision, false));
}

const mostNamed = 1000;

/** More of them are a number: a manifest may have a hundred thousand. */
const tagsAmong = (names: readonly string[]): readonly Removed[] =>
  names.length > mostNamed ? some("tag", names.length) : names.toSorted().map((name) => one("tag", name));

const shownWith =
  (labels: ReadonlyMap<number, Labels>) =>
  ({ id, name, visibility, createdAt }: RepositorySummary) => ({
    name,
    visibility,
    createdAt: toTime(createdAt),
    labels: labels.get(id) ?? {},
  });

const shownTag = ({ createdAt, updatedAt, ...tag }: TagSummary) => ({
  ...tag,
  createdAt: toTime(createdAt),
  updatedAt: toTime(updatedAt),
});

/** A page as it is sent, with where the next one begins. */
export function pageAs<T, U>({ items, isLast }: Page<T>, shown: (item: T) => U, key: (item: T) => string) {
  const last = items.at(-1);
  return { items: items.map(shown), ...(!isLast && last !== undefined && { next: key(last) }) };
}

async function requireRepository(read: Reader, name: RepositoryName): Promise<void> {
  const found = await summarizeRepositories(read, [name]);
  if (found.length === 0) fail({ code: "NAME_UNKNOWN", name });
}

async function requireTag(read: Reader, repository: RepositoryName, tag: Tag) {
  const found = await findTagSummary(read, repository, tag);
  if (found !== undefined) return shownTag(found);
  await requireRepository(read, repository);
  return fail({ code: "MANIFEST_UNKNOWN", reference: tag });
}

/** What the caller may not read is as if it were not there. */
async function requireReadable({ authorize }: Authorization, caller: Caller, name: RepositoryName): Promise<void> {
  const decision = await authorize(caller, "read", { kind: "repository", name });
  if (!decision.allowed) fail({ code: "NAME_UNKNOWN", name });
}

function requireReference(text: string): Reference {
  const reference = parseReference(text);
  return reference.kind === "tag" || reference.kind === "digest"
    ? reference
    : fail({ code: "MANIFEST_UNKNOWN", reference: text });
}

function conditionOf(expected: Digest | null | undefined): PushCondition | undefined {
  if (expected === undefined) return undefined;
  return expected === null ? { kind: "is-absent" } : { kind: "is-one-of", digests: [expected] };
}
