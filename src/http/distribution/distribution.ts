import type { Access } from "../../access/open-access.ts";
import type { DependsOn } from "../../access/decide.ts";
import type { Caller } from "../../access/principal.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Authenticate } from "../authenticate.ts";
import type { RequestNotes } from "../request-record.ts";
import type { Vouching } from "../vouching.ts";
import { deleteBlob } from "./delete-blob.ts";
import { deleteManifest } from "./delete-manifest.ts";
import { deleteUpload } from "./delete-upload.ts";
import type { Endpoint } from "./endpoint.ts";
import { getBlob } from "./get-blob.ts";
import { getCatalog } from "./get-catalog.ts";
import { getManifest } from "./get-manifest.ts";
import { getReferrers } from "./get-referrers.ts";
import { getTags } from "./get-tags.ts";
import { getUpload } from "./get-upload.ts";
import type { LimitPulls } from "./limit-pulls.ts";
import { patchUpload } from "./patch-upload.ts";
import { postUpload } from "./post-upload.ts";
import { putManifest } from "./put-manifest.ts";
import { putUpload } from "./put-upload.ts";
import { rememberAnswers } from "./remembered-answers.ts";
import { requireAccess, scopeOf, type Wanted } from "./require-access.ts";
import { type EndpointName, parseRoute, type Route } from "./route.ts";

export interface DistributionDeps {
  readonly registry: Registry;
  readonly access: Access;
  readonly authenticate: Authenticate;
  readonly vouching?: Vouching | undefined;
  readonly deletesEnabled: boolean;
  /** Absent where everyone may pull as often as they like. */
  readonly limitPulls?: LimitPulls | undefined;
}

type Methods = Readonly<Record<string, Endpoint>>;

/** The distribution-spec's endpoints: by what the path names, then by method. */
const endpoints = ({ registry, access, deletesEnabled }: DistributionDeps): Readonly<Record<EndpointName, Methods>> => {
  const { authorize } = access;
  const [readBlob, readManifest, readTags, readReferrers, readUpload] = [
    getBlob(registry, authorize),
    getManifest(registry),
    getTags(registry),
    getReferrers(registry),
    getUpload(registry),
  ];
  return {
    blob: { GET: readBlob, HEAD: readBlob, ...(deletesEnabled && { DELETE: deleteBlob(registry, authorize) }) },
    manifest: {
      GET: readManifest,
      HEAD: readManifest,
      PUT: putManifest(registry, access),
      ...(deletesEnabled && { DELETE: deleteManifest(registry, access) }),
    },
    referrers: { GET: readReferrers, HEAD: readReferrers },
    tags: { GET: readTags, HEAD: readTags },
    uploads: { POST: postUpload(registry, access) },
    upload: {
      GET: readUpload,
      HEAD: readUpload,
      PATCH: patchUpload(registry),
      PUT: putUpload(registry),
      DELETE: deleteUpload(registry),
    },
  };
};

const reading = ["GET", "HEAD"];

/** What every client asks for first: bytes, so that it is remembered, which takes 40 µs where 100 were. */
const signedIn: Reply = {
  kind: "bytes",
  status: 200,
  headers: { "content-type": "application/json" },
  body: Buffer.from("{}"),
};

/** Answers everything below `/v2`; `undefined` for another path. */
export function distribution(deps: DistributionDeps) {
  const methodsOf = endpoints(deps);
  const catalog = getCatalog(deps.registry);
  const remembered = rememberAnswers(deps.registry);
  const limited = limiter(deps.limitPulls);
  const answerAnew = async (request: Incoming, notes: RequestNotes): Promise<Reply | undefined> => {
    const moment = remembered.moment();
    const route = parseRoute(request.path);
    if (route === undefined) return undefined;
    const handler = route.kind === "repository" ? route.endpoint : route.kind;
    notes.handler = handler;
    if (route.kind === "repository") notes.repository = route.repository;
    const endpoint = route.kind === "repository" ? methodsOf[route.endpoint][request.method] : undefined;
    const wanted = wantedBy(route, endpoint);
    const scopes = wanted === undefined ? [] : [scopeOf(wanted.resource, wanted.need), ...mountScope(request)];
    const vouched = deps.vouching && (await deps.vouching.callerOf(request, scopes));
    const caller = vouched ?? (await deps.authenticate(request, scopes));
    notes.caller = caller;
    const decision =
      wanted === undefined ? undefined : await requireAccess(deps.access.authorize, caller, { ...wanted, scopes });
    const kept = (reply: Reply, repository: RepositoryName | undefined, dependsOn: DependsOn | undefined): Reply =>
      remembered.keep(request, { reply, caller, handler, repository, dependsOn }, moment);
    switch (route.kind) {
      case "base":
        requireMethod(request, reading);
        requireSignIn(deps.access, caller);
        return kept(signedIn, undefined, undefined);
      case "catalog": {
        requireMethod(request, reading);
        const seen = await deps.access.listedTo(caller);
        return kept(await catalog(request, seen.visible), undefined, seen.dependsOn);
      }
      case "extensions":
        requireMethod(request, reading);
        return { kind: "json", status: 200, headers: {}, body: { extensions: [] } };
      case "repository": {
        if (endpoint === undefined) return failMethod(request, methodsOf[route.endpoint]);
        const { repository, target } = route;
        const reply = await endpoint.run({ request, caller, repository, target });
        return limited(request, caller, { handler, reply: kept(reply, repository, decision?.dependsOn) });
      }
      default:
        return route satisfies never;
    }
  };
  return (request: Incoming, notes: RequestNotes): Promise<Reply | undefined> | Reply => {
    // What is remembered of those who show nothing is not for those who are vouched for.
    const known = deps.vouching?.vouches(request) === true ? undefined : remembered.find(request);
    if (known === undefined) return answerAnew(request, notes);
    notes.handler = known.handler;
    notes.caller = known.caller;
    if (known.repository !== undefined) notes.repository = known.repository;
    return limited(request, known.caller, known);
  };
}

interface Found {
  readonly handler: string;
  readonly reply: Reply;
}

/** Manifests that are read pass by the limits, whether from memory or not. */
const limiter =
  (limitPulls: LimitPulls | undefined) =>
  (request: Incoming, caller: Caller, { handler, reply }: Found): Promise<Reply> | Reply =>
    limitPulls === undefined || handler !== "manifest" || !reading.includes(request.method)
      ? reply
      : limitPulls(request, caller, reply);

/** A mount reads one repository and writes another: one token for both. */
function mountScope({ method, query }: Incoming): readonly string[] {
  const from = method !== "POST" || query.get("mount") === null ? null : query.get("from");
  const name = from === null ? undefined : parseRepositoryName(from);
  return name === undefined ? [] : [scopeOf({ kind: "repository", name }, "pull")];
}

function wantedBy(route: Route, endpoint: Endpoint | undefined): Omit<Wanted, "scopes"> | undefined {
  if (route.kind === "catalog") return { resource: { kind: "catalog" }, need: "pull" };
  if (route.kind !== "repository") return undefined;
  // What a method that does not exist would need is what anyone needs who may know of the repository.
  return { resource: { kind: "repository", name: route.repository }, need: endpoint?.need ?? "pull" };
}

/** Clients learn from this answer alone whether to sign in: anonymous ones are sent to the token service. */
function requireSignIn({ policy }: Access, { principal, scope }: Caller): void {
  const isStranger = principal.kind === "anonymous" && scope === undefined;
  if (policy.mode === "standard" && isStranger) fail({ code: "UNAUTHORIZED", scopes: [] });
}

function requireMethod({ method }: Incoming, allow: readonly string[]): void {
  if (!allow.includes(method)) {
    fail({ code: "METHOD_UNSUPPORTED", allow, reason: "this method does nothing here" });
  }
}

const failMethod = ({ method }: Incoming, methods: Methods): never =>
  fail({
    code: "METHOD_UNSUPPORTED",
    allow: Object.keys(methods),
    reason: method === "DELETE" ? "deletes are switched off (delete.enabled)" : "this method does nothing here",
  });
