/**
 * Who may use which route, written down by hand from what the documentation says of the roles and never made of the
 * program's own tables. The rights are on an organization, whose are a namespace and its repositories. From the left:
 *
 * n  nobody, who has not signed in   D  developer       r  a robot that is developer
 * s  a stranger, who has             M  maintainer      R  a robot that is project-admin
 * m  a member without a role         P  project-admin   t  an administrator's token for reading images alone
 * L  limited guest                                      U  auditor of the instance
 * G  guest                                              A  administrator of the instance
 *
 * Where a route does more things than one, what it is asked for stands behind the bar.
 */
export const callers = "nsmLGDMPrRtUA";

/** Of the API, as its OpenAPI file names them. */
export const apiMatrix = {
  "POST /session": "nsmLGDMPrRtUA",
  "DELETE /session": "nsmLGDMPrRtUA",
  "GET /device-sign-ins/{code}": ".smLGDMP...UA",
  "POST /device-sign-ins/{code}": ".smLGDMP...UA",
  "GET /me": ".smLGDMP..tUA",
  "PUT /me/password": ".smLGDMP...UA",
  "POST /me/second-factor": ".smLGDMP...UA",
  "POST /me/second-factor/confirmation": ".smLGDMP...UA",
  "POST /me/second-factor/removal": ".smLGDMP...UA",

  "GET /accounts": "...........UA",
  "POST /accounts": "............A",
  "GET /accounts/{account}": "...........UA",
  "PATCH /accounts/{account}": "............A",
  "PUT /accounts/{account}/password": "............A",
  "DELETE /accounts/{account}": "............A",
  "DELETE /accounts/{account}/second-factor": "............A",
  "GET /audit": "...........UA",

  "GET /organizations": ".smLGDMPrRtUA",
  "POST /organizations": "............A",
  "GET /organizations/{organization}": "..mLGDMPrR.UA",
  "PUT /organizations/{organization}/display-name": ".......P.R..A",
  "DELETE /organizations/{organization}": ".......P.R..A",
  "GET /organizations/{organization}/members": "..m.GDMPrR.UA",
  "PUT /organizations/{organization}/members/{account}": ".......P.R..A",
  "DELETE /organizations/{organization}/members/{account}": ".......P.R..A",
  "GET /organizations/{organization}/teams": "..m.GDMPrR.UA",
  "POST /organizations/{organization}/teams": ".......P.R..A",
  "DELETE /organizations/{organization}/teams/{team}": ".......P.R..A",
  "GET /organizations/{organization}/teams/{team}/members": "..m.GDMPrR.UA",
  "PUT /organizations/{organization}/teams/{team}/members/{account}": ".......P.R..A",
  "DELETE /organizations/{organization}/teams/{team}/members/{account}": ".......P.R..A",
  "GET /organizations/{organization}/teams/{team}/groups": "...........UA",
  "POST /organizations/{organization}/teams/{team}/groups": "............A",
  "DELETE /organizations/{organization}/teams/{team}/groups": "............A",

  "GET /namespaces": "...........UA",
  "POST /namespaces": "............A",
  "GET /namespaces/{namespace}": "...LGDMPrR.UA",
  "PUT /namespaces/{namespace}/rules": ".......P.R..A",
  "DELETE /namespaces/{namespace}": ".......P.R..A",

  "GET /roles": ".smLGDMPrRtUA",
  "POST /roles": "............A",
  "GET /roles/{role}": ".smLGDMPrRtUA",
  "PUT /roles/{role}": "............A",
  "DELETE /roles/{role}": "............A",
  "GET /grants": "...........UA",
  "POST /grants": ".......P.R..A",
  "POST /grants | on the instance": "............A",
  "POST /grants | of a role above the own": "............A",
  "DELETE /grants/{grant}": ".......P.R..A",
  "GET /organizations/{organization}/grants": "....GDMPrR.UA",
  "GET /namespaces/{namespace}/grants": "....GDMPrR.UA",
  "GET /repositories/{repository}/grants": "....GDMPrR.UA",
  "GET /access/explain": "....GDMPrR.UA",
  "GET /access/explain | of oneself": ".smLGDMP..tUA",

  "GET /namespaces/{namespace}/protections": ".....DMPrR.UA",
  "POST /namespaces/{namespace}/protections": "......MP.R..A",
  "GET /repositories/{repository}/protections": ".....DMPrR.UA",
  "POST /repositories/{repository}/protections": "......MP.R..A",
  "DELETE /protections/{protection}": "......MP.R..A",

  "GET /tokens": ".smLGDMP.R.UA",
  "GET /tokens | of another account": "...........UA",
  "GET /tokens | of a robot": "......MP.R.UA",
  "POST /tokens": ".smLGDMP.R.UA",
  "POST /tokens | of another account": "............A",
  "POST /tokens | of a robot": ".......P.R..A",
  "PATCH /tokens/{token}": ".......P.R..A",
  "PATCH /tokens/{token} | of an account": ".s..........A",
  "POST /tokens/{token}/rotation": ".......P.R..A",
  "DELETE /tokens/{token}": ".......P.R..A",
  "GET /robots": "...........UA",
  "GET /robots | of an organization": "......MP.R.UA",
  "POST /robots": "............A",
  "POST /robots | of an organization": ".......P.R..A",
  "GET /robots/{robot}": "......MP.R.UA",
  "PATCH /robots/{robot}": ".......P.R..A",
  "DELETE /robots/{robot}": ".......P.R..A",
  "GET /robots/{robot}/workload-rules": "......MP.R.UA",
  // Whoever is trusted lasts longer than a program does: it takes a person.
  "POST /robots/{robot}/workload-rules": ".......P....A",
  "POST /robots/{robot}/workload-test": "......MP.R.UA",
  "GET /workload-rules/{rule}": "......MP.R.UA",
  "DELETE /workload-rules/{rule}": ".......P.R..A",

  "GET /repositories": "nsmLGDMPrRtUA",
  "POST /repositories": ".....DMPrR..A",
  "GET /repositories/{repository}": "...LGDMPrRtUA",
  "DELETE /repositories/{repository}": ".......P.R..A",
  "PUT /repositories/{repository}/visibility": ".......P.R..A",
  "GET /repositories/{repository}/description": "...LGDMPrRtUA",
  "PUT /repositories/{repository}/description": "......MP.R..A",
  "GET /repositories/{repository}/tags": "...LGDMPrRtUA",
  "GET /repositories/{repository}/tags/{tag}": "...LGDMPrRtUA",
  "PUT /repositories/{repository}/tags/{tag}": ".....DMPrR..A",
  "DELETE /repositories/{repository}/tags/{tag}": "......MP.R..A",
  "GET /repositories/{repository}/manifests": "...LGDMPrRtUA",
  "GET /repositories/{repository}/manifests/{reference}": "...LGDMPrRtUA",
  "DELETE /repositories/{repository}/manifests/{reference}": "......MP.R..A",
  "POST /repositories/{repository}/deletions": "......MP.R..A",
  "GET /uploads": "...........UA",
  "DELETE /uploads/{upload}": "............A",
} as const satisfies Readonly<Record<string, string>>;

/** Of the registry protocol. */
export const protocolMatrix = {
  "GET /v2/": ".smLGDMPrRtUA",
  "HEAD /v2/": ".smLGDMPrRtUA",
  "GET /v2/_catalog": ".smLGDMPrRtUA",
  "HEAD /v2/_catalog": ".smLGDMPrRtUA",
  "GET /v2/_oci/ext/discover": "nsmLGDMPrRtUA",
  "HEAD /v2/_oci/ext/discover": "nsmLGDMPrRtUA",
  "GET /v2/{repository}/tags/list": "...LGDMPrRtUA",
  "HEAD /v2/{repository}/tags/list": "...LGDMPrRtUA",
  "GET /v2/{repository}/referrers/{digest}": "...LGDMPrRtUA",
  "HEAD /v2/{repository}/referrers/{digest}": "...LGDMPrRtUA",
  "GET /v2/{repository}/manifests/{reference}": "...LGDMPrRtUA",
  "GET /v2/{repository}/manifests/{reference} | by digest": "...LGDMPrRtUA",
  "HEAD /v2/{repository}/manifests/{reference}": "...LGDMPrRtUA",
  "PUT /v2/{repository}/manifests/{reference}": ".....DMPrR..A",
  "PUT /v2/{repository}/manifests/{reference} | a new tag": ".....DMPrR..A",
  "PUT /v2/{repository}/manifests/{reference} | by digest": ".....DMPrR..A",
  "PUT /v2/{repository}/manifests/{reference} | of a new repository": ".....DMPrR..A",
  "DELETE /v2/{repository}/manifests/{reference}": "......MP.R..A",
  "DELETE /v2/{repository}/manifests/{reference} | by digest": "......MP.R..A",
  "GET /v2/{repository}/blobs/{digest}": "...LGDMPrRtUA",
  "HEAD /v2/{repository}/blobs/{digest}": "...LGDMPrRtUA",
  "DELETE /v2/{repository}/blobs/{digest}": "......MP.R..A",
  "POST /v2/{repository}/blobs/uploads/": ".....DMPrR..A",
  "POST /v2/{repository}/blobs/uploads/ | in one request": ".....DMPrR..A",
  "POST /v2/{repository}/blobs/uploads/ | a mount": ".....DMPrR..A",
  "GET /v2/{repository}/blobs/uploads/{upload}": ".....DMPrR..A",
  "HEAD /v2/{repository}/blobs/uploads/{upload}": ".....DMPrR..A",
  "PATCH /v2/{repository}/blobs/uploads/{upload}": ".....DMPrR..A",
  "PUT /v2/{repository}/blobs/uploads/{upload}": ".....DMPrR..A",
  "DELETE /v2/{repository}/blobs/uploads/{upload}": ".....DMPrR..A",
} as const satisfies Readonly<Record<string, string>>;

/** What a token for `repository:acme/app` is good for, where all of it is asked for. */
export const tokenMatrix = {
  pull: "...LGDMPrRtUA",
  push: ".....DMPrR..A",
  delete: "......MP.R..A",
} as const;

/**
 * What bearer tokens of the registry open, each an administrator's. From the left: for pull, for pull and push, for delete,
 * for all of it; for all of another repository; for the catalog.
 */
export const bearers = "pwdaoc";
export const bearerMatrix = {
  "GET /v2/": "pwdaoc",
  "HEAD /v2/": "pwdaoc",
  "GET /v2/_catalog": ".....c",
  "HEAD /v2/_catalog": ".....c",
  "GET /v2/_oci/ext/discover": "pwdaoc",
  "HEAD /v2/_oci/ext/discover": "pwdaoc",
  "GET /v2/{repository}/tags/list": "pw.a..",
  "HEAD /v2/{repository}/tags/list": "pw.a..",
  "GET /v2/{repository}/referrers/{digest}": "pw.a..",
  "HEAD /v2/{repository}/referrers/{digest}": "pw.a..",
  "GET /v2/{repository}/manifests/{reference}": "pw.a..",
  "GET /v2/{repository}/manifests/{reference} | by digest": "pw.a..",
  "HEAD /v2/{repository}/manifests/{reference}": "pw.a..",
  "PUT /v2/{repository}/manifests/{reference}": ".w.a..",
  "PUT /v2/{repository}/manifests/{reference} | a new tag": ".w.a..",
  "PUT /v2/{repository}/manifests/{reference} | by digest": ".w.a..",
  "PUT /v2/{repository}/manifests/{reference} | of a new repository": "......",
  "DELETE /v2/{repository}/manifests/{reference}": "..da..",
  "DELETE /v2/{repository}/manifests/{reference} | by digest": "..da..",
  "GET /v2/{repository}/blobs/{digest}": "pw.a..",
  "HEAD /v2/{repository}/blobs/{digest}": "pw.a..",
  "DELETE /v2/{repository}/blobs/{digest}": "..da..",
  "POST /v2/{repository}/blobs/uploads/": ".w.a..",
  "POST /v2/{repository}/blobs/uploads/ | in one request": ".w.a..",
  // It is to another repository.
  "POST /v2/{repository}/blobs/uploads/ | a mount": "......",
  "GET /v2/{repository}/blobs/uploads/{upload}": ".w.a..",
  "HEAD /v2/{repository}/blobs/uploads/{upload}": ".w.a..",
  "PATCH /v2/{repository}/blobs/uploads/{upload}": ".w.a..",
  "PUT /v2/{repository}/blobs/uploads/{upload}": ".w.a..",
  "DELETE /v2/{repository}/blobs/uploads/{upload}": ".w.a..",
} as const satisfies Readonly<Record<keyof typeof protocolMatrix, string>>;

export type ApiRow = keyof typeof apiMatrix;
export type ProtocolRow = keyof typeof protocolMatrix;

/** `METHOD /path`, without what stands behind the bar. */
export const routeOf = (row: string): string => row.split(" | ", 1)[0] ?? row;
