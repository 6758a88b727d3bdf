import type { Incoming } from "../../src/platform/runtime/http.ts";

/** A request as the runtime hands it on: a GET without a body, but for what is told about it. */
export const incoming = (about: Partial<Incoming> = {}): Incoming => ({
  method: "GET",
  path: "/v2/",
  hasDotSegments: false,
  query: new URLSearchParams(),
  queryText: "",
  headers: new Map(),
  body: (async function* () {})(),
  bodyBytes: 0,
  receivedBytes: () => 0,
  scheme: "http",
  remoteAddress: "192.0.2.1",
  requestId: "request-1",
  ...about,
});
