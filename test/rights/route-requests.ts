import { password } from "../api/checked-api.ts";
import { absentDigest, digestOf, indexBytes, mediaTypes } from "../protocol/content.ts";
import type { Call } from "../protocol/registry-client.ts";
import { type ApiRow, type ProtocolRow, routeOf } from "./route-matrix.ts";
import { type Tenant, trust } from "./tenant.ts";

/** How a row of the matrix is asked for: so that nothing that another row needs is gone afterwards. */
interface Asking {
  /** In place of what the tenant has. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is answered to whoever may; any status below 300, where it is not said. It is none that a denial has. */
  readonly allowed?: number;
}

export interface ApiAsking extends Asking {
  readonly json?: object;
}

export interface ProtocolAsking extends Asking {
  readonly body?: Call["body"];
}

type Row<A> = (tenant: Tenant, caller: string) => A | Promise<A>;

const asItIs: Row<Asking> = () => ({});
const dryRun = { dryRun: "true" } as const;
const dry: Row<Asking> = () => ({ query: dryRun });
const ifMatch = { "if-match": "*" } as const;
const scopes = ["**:read"];
const protection = { pattern: "never-*", roles: { create: "maintainer" } };

export const apiRequests: Readonly<Record<ApiRow, Row<ApiAsking>>> = {
  "POST /session": ({ account }) => ({ json: { name: account, password } }),
  "DELETE /session": asItIs,
  // Whoever may ask is told that there is more in it than there should be; a code that nobody waits under counts as a guess.
  "GET /device-sign-ins/{code}": () => ({ params: { code: "BCDF-GHJK" }, query: { also: "this" }, allowed: 400 }),
  "POST /device-sign-ins/{code}": () => ({ params: { code: "BCDF-GHJK" }, json: {}, allowed: 400 }),
  "GET /me": asItIs,
  "PUT /me/password": () => ({ json: { current: password, password } }),
  "POST /me/second-factor": () => ({ json: { password } }),
  "POST /me/second-factor/confirmation": () => ({ json: { code: "no code" }, allowed: 400 }),
  "POST /me/second-factor/removal": () => ({ json: { password } }),

  "GET /accounts": asItIs,
  "POST /accounts": ({ fresh }) => ({ json: { name: fresh(), password } }),
  "GET /accounts/{account}": asItIs,
  "PATCH /accounts/{account}": () => ({ json: { displayName: "Ann" }, headers: ifMatch }),
  "PUT /accounts/{account}/password": () => ({ json: { password } }),
  "DELETE /accounts/{account}": dry,
  "DELETE /accounts/{account}/second-factor": dry,
  "GET /audit": asItIs,

  "GET /organizations": asItIs,
  "POST /organizations": ({ fresh }) => ({ json: { name: fresh() } }),
  "GET /organizations/{organization}": asItIs,
  "PUT /organizations/{organization}/display-name": () => ({ json: { displayName: "Acme" }, headers: ifMatch }),
  // It has repositories.
  "DELETE /organizations/{organization}": () => ({ query: dryRun, allowed: 409 }),
  "GET /organizations/{organization}/members": asItIs,
  "PUT /organizations/{organization}/members/{account}": () => ({ json: { role: "member" } }),
  "DELETE /organizations/{organization}/members/{account}": dry,
  "GET /organizations/{organization}/teams": asItIs,
  "POST /organizations/{organization}/teams": ({ fresh }) => ({ json: { name: fresh() } }),
  "DELETE /organizations/{organization}/teams/{team}": dry,
  "GET /organizations/{organization}/teams/{team}/members": asItIs,
  "PUT /organizations/{organization}/teams/{team}/members/{account}": asItIs,
  "DELETE /organizations/{organization}/teams/{team}/members/{account}": dry,
  "GET /organizations/{organization}/teams/{team}/groups": asItIs,
  // There is no source whose groups could be named.
  "POST /organizations/{organization}/teams/{team}/groups": () => ({ json: {}, allowed: 400 }),
  "DELETE /organizations/{organization}/teams/{team}/groups": () => ({ query: dryRun, allowed: 400 }),

  "GET /namespaces": asItIs,
  "POST /namespaces": ({ fresh }) => ({ json: { name: fresh() } }),
  "GET /namespaces/{namespace}": asItIs,
  "PUT /namespaces/{namespace}/rules": () => ({ json: { visibility: "private" }, headers: ifMatch }),
  "DELETE /namespaces/{namespace}": ({ namespaceBelow }) => ({ params: { namespace: namespaceBelow }, query: dryRun }),

  "GET /roles": asItIs,
  "POST /roles": ({ fresh }) => ({ json: { name: fresh(), permissions: ["repository:read"] } }),
  "GET /roles/{role}": asItIs,
  "PUT /roles/{role}": () => ({ json: { permissions: ["repository:read"] }, headers: ifMatch }),
  "DELETE /roles/{role}": dry,
  "GET /grants": asItIs,
  "POST /grants": ({ account, organization }) => ({
    json: {
      role: "guest",
      to: { kind: "account", name: account },
      on: { kind: "organization", name: organization },
    },
  }),
  "POST /grants | on the instance": () => ({
    json: { role: "guest", to: { kind: "signed-in" }, on: { kind: "instance" }, networks: ["192.0.2.1/32"] },
  }),
  "POST /grants | of a role above the own": ({ account, organization }) => ({
    json: {
      role: "administrator",
      to: { kind: "account", name: account },
      on: { kind: "organization", name: organization },
    },
  }),
  "DELETE /grants/{grant}": dry,
  "GET /organizations/{organization}/grants": asItIs,
  "GET /namespaces/{namespace}/grants": asItIs,
  "GET /repositories/{repository}/grants": asItIs,
  "GET /access/explain": ({ account, repository }) => ({ query: { doing: "read", account, repository } }),
  "GET /access/explain | of oneself": ({ repository }, account) => ({
    query: { doing: "read", account, repository },
  }),

  "GET /namespaces/{namespace}/protections": asItIs,
  "POST /namespaces/{namespace}/protections": () => ({ json: protection }),
  "GET /repositories/{repository}/protections": asItIs,
  "POST /repositories/{repository}/protections": () => ({ json: protection }),
  "DELETE /protections/{protection}": dry,

  "GET /tokens": asItIs,
  "GET /tokens | of another account": ({ account }) => ({ query: { account } }),
  "GET /tokens | of a robot": ({ robot }) => ({ query: { robot } }),
  "POST /tokens": () => ({ json: { name: "own", scopes } }),
  "POST /tokens | of another account": ({ account }) => ({ json: { account, name: "another's", scopes } }),
  "POST /tokens | of a robot": ({ robot }) => ({ json: { robot, name: "secret" } }),
  "PATCH /tokens/{token}": () => ({ json: { state: "active" } }),
  "PATCH /tokens/{token} | of an account": ({ accountToken: token }) => ({
    params: { token },
    json: { state: "active" },
  }),
  "POST /tokens/{token}/rotation": async ({ newToken }) => ({ params: { token: await newToken() }, json: {} }),
  "DELETE /tokens/{token}": dry,
  "GET /robots": asItIs,
  "GET /robots | of an organization": ({ organization }) => ({ query: { organization } }),
  "POST /robots": ({ fresh }) => ({ json: { name: fresh() } }),
  "POST /robots | of an organization": ({ fresh, organization }) => ({ json: { name: fresh(), organization } }),
  "GET /robots/{robot}": asItIs,
  "PATCH /robots/{robot}": () => ({ json: { description: "builds" } }),
  "DELETE /robots/{robot}": dry,
  "GET /robots/{robot}/workload-rules": asItIs,
  "POST /robots/{robot}/workload-rules": () => ({ json: trust }),
  "POST /robots/{robot}/workload-test": () => ({ json: { token: "no token" } }),
  "GET /workload-rules/{rule}": asItIs,
  "DELETE /workload-rules/{rule}": dry,

  "GET /repositories": asItIs,
  "POST /repositories": ({ fresh, organization }) => ({ json: { name: `${organization}/${fresh()}` } }),
  "GET /repositories/{repository}": asItIs,
  "DELETE /repositories/{repository}": dry,
  "PUT /repositories/{repository}/visibility": () => ({ json: { visibility: "private" } }),
  "GET /repositories/{repository}/description": asItIs,
  "PUT /repositories/{repository}/description": () => ({ json: { text: "what it is" }, headers: ifMatch }),
  "GET /repositories/{repository}/tags": asItIs,
  "GET /repositories/{repository}/tags/{tag}": asItIs,
  "PUT /repositories/{repository}/tags/{tag}": ({ tag }) => ({ json: { reference: tag } }),
  "DELETE /repositories/{repository}/tags/{tag}": dry,
  "GET /repositories/{repository}/manifests": asItIs,
  "GET /repositories/{repository}/manifests/{reference}": asItIs,
  "DELETE /repositories/{repository}/manifests/{reference}": dry,
  "POST /repositories/{repository}/deletions": ({ tag }) => ({ json: { tags: [tag] }, query: dryRun }),
  "GET /uploads": asItIs,
  "DELETE /uploads/{upload}": dry,
};

const index = { "content-type": mediaTypes.index } as const;
const emptyIndex = indexBytes([]);
const put = { headers: index, body: emptyIndex } as const;
/** What is asked for is not there, which only those learn who may do it. */
const absent = { allowed: 404 } as const;
const bytes = "one blob";

export const protocolRequests: Readonly<Record<ProtocolRow, Row<ProtocolAsking>>> = {
  "GET /v2/": asItIs,
  "HEAD /v2/": asItIs,
  "GET /v2/_catalog": asItIs,
  "HEAD /v2/_catalog": asItIs,
  "GET /v2/_oci/ext/discover": asItIs,
  "HEAD /v2/_oci/ext/discover": asItIs,
  "GET /v2/{repository}/tags/list": asItIs,
  "HEAD /v2/{repository}/tags/list": asItIs,
  "GET /v2/{repository}/referrers/{digest}": asItIs,
  "HEAD /v2/{repository}/referrers/{digest}": asItIs,
  "GET /v2/{repository}/manifests/{reference}": ({ tag }) => ({ params: { reference: tag } }),
  "GET /v2/{repository}/manifests/{reference} | by digest": asItIs,
  "HEAD /v2/{repository}/manifests/{reference}": ({ tag }) => ({ params: { reference: tag } }),
  "PUT /v2/{repository}/manifests/{reference}": () => ({ params: { reference: "moving" }, ...put }),
  "PUT /v2/{repository}/manifests/{reference} | a new tag": ({ fresh }) => ({ params: { reference: fresh() }, ...put }),
  "PUT /v2/{repository}/manifests/{reference} | by digest": () => ({
    params: { reference: digestOf(emptyIndex) },
    ...put,
  }),
  "PUT /v2/{repository}/manifests/{reference} | of a new repository": ({ fresh, organization }) => ({
    params: { repository: `${organization}/${fresh()}`, reference: "v1" },
    ...put,
  }),
  "DELETE /v2/{repository}/manifests/{reference}": ({ fresh }) => ({ params: { reference: fresh() }, ...absent }),
  "DELETE /v2/{repository}/manifests/{reference} | by digest": () => ({
    params: { reference: absentDigest() },
    ...absent,
  }),
  "GET /v2/{repository}/blobs/{digest}": ({ blob: digest }) => ({ params: { digest } }),
  "HEAD /v2/{repository}/blobs/{digest}": ({ blob: digest }) => ({ params: { digest } }),
  "DELETE /v2/{repository}/blobs/{digest}": () => ({ params: { digest: absentDigest() }, ...absent }),
  "POST /v2/{repository}/blobs/uploads/": () => ({ body: "" }),
  "POST /v2/{repository}/blobs/uploads/ | in one request": () => ({ query: { digest: digestOf(bytes) }, body: bytes }),
  "POST /v2/{repository}/blobs/uploads/ | a mount": ({ repository, sibling, blob }) => ({
    params: { repository: sibling },
    query: { mount: blob, from: repository },
    body: "",
    allowed: 201,
  }),
  "GET /v2/{repository}/blobs/uploads/{upload}": () => absent,
  "HEAD /v2/{repository}/blobs/uploads/{upload}": () => absent,
  "PATCH /v2/{repository}/blobs/uploads/{upload}": () => ({ body: bytes, ...absent }),
  "PUT /v2/{repository}/blobs/uploads/{upload}": () => ({ query: { digest: digestOf(bytes) }, body: bytes, ...absent }),
  "DELETE /v2/{repository}/blobs/uploads/{upload}": () => absent,
};

export interface Request {
  readonly method: string;
  readonly path: string;
}

/** The row's method and path with what the tenant has in the place of braces. */
export function requestOf(row: string, tenant: Tenant, { params = {}, query = {} }: Asking): Request {
  const [method = "", template = ""] = routeOf(row).split(" ");
  const { organization, robotToken, digest } = tenant;
  const given: Readonly<Record<string, unknown>> = {
    ...tenant,
    namespace: organization,
    token: robotToken,
    reference: digest,
    ...params,
  };
  const isOfProtocol = template.startsWith("/v2");
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const text = given[name];
    if (typeof text !== "string") throw new Error(`${row}: no tenant has a ${name}`);
    return isOfProtocol ? text : encodeURIComponent(text);
  });
  const search = new URLSearchParams(query).toString();
  return { method, path: search === "" ? path : `${path}?${search}` };
}
