import type { Answer, Registry as Client } from "../../protocol/registry-client.ts";
import { digestOf } from "../../protocol/content.ts";
import type { Execute } from "../program/execute.ts";
import { type Condition, done, incomplete, missing, type Operation, refused } from "../program/operation.ts";
import { known, type Universe } from "../program/universe.ts";

/**
 * Does what a request can do as one request to a server; `otherwise` does the rest. An answer that is none of the
 * protocol's is an outcome that the model does not know.
 */
export const executeOver =
  (client: Client, otherwise: Execute): Execute =>
  async (operation, universe) => {
    const act = requests[operation.kind];
    return act === undefined ? otherwise(operation, universe) : act({ client, universe }, operation as never);
  };

interface Stage {
  readonly client: Client;
  readonly universe: Universe;
}

type Requests = {
  readonly [K in Operation["kind"]]?: (
    stage: Stage,
    operation: Extract<Operation, { readonly kind: K }>,
  ) => Promise<string>;
};

const requests: Requests = {
  async "push-blob"({ client, universe }, { repository, blob }) {
    const { digest, text } = known(universe.blobs, blob);
    const target = `${pathOf(universe, repository)}/blobs/uploads/?digest=${digest}`;
    return outcomeOf(await client.send("POST", target, { body: text }), { 201: done });
  },
  async push({ client, universe }, { repository, manifest, tags, condition }) {
    const { digest, bytes, manifest: parsed } = known(universe.manifests, manifest).content;
    const [only, ...more] = tags;
    const reference =
      only !== undefined && more.length === 0 ? only : `${digest}?${tags.map((tag) => `tag=${tag}`).join("&")}`;
    const headers = { "Content-Type": parsed.mediaType, ...conditionHeaders(universe, condition) };
    const target = `${pathOf(universe, repository)}/manifests/${reference}`;
    const answer = await client.send("PUT", target, { headers, body: bytes });
    return outcomeOf(answer, { 201: done, 400: incomplete, 404: incomplete, 412: refused });
  },
  async mount({ client, universe }, { repository, from, blob }) {
    const query = `mount=${known(universe.blobs, blob).digest}&from=${known(universe.repositories, from)}`;
    const target = `${pathOf(universe, repository)}/blobs/uploads/?${query}`;
    return outcomeOf(await client.send("POST", target, { body: "" }), { 201: done, 202: missing });
  },
  "head-blob": (stage, operation) => onBlob(stage, operation, "HEAD"),
  "get-blob": (stage, operation) => onBlob(stage, operation, "GET"),
  "delete-blob": (stage, operation) => onBlob(stage, operation, "DELETE"),
  "get-tag": (stage, { repository, tag }) => getManifest(stage, repository, tag),
  "get-manifest": (stage, { repository, manifest }) =>
    getManifest(stage, repository, known(stage.universe.manifests, manifest).content.digest),
  "delete-tag": (stage, { repository, tag }) => deleteManifest(stage, repository, tag),
  "delete-manifest": (stage, { repository, manifest }) =>
    deleteManifest(stage, repository, known(stage.universe.manifests, manifest).content.digest),
  async "list-tags"({ client, universe }, { repository }) {
    const answer = await client.send("GET", `${pathOf(universe, repository)}/tags/list`);
    if (answer.status === 404) return "[]";
    return answer.status === 200 ? JSON.stringify((answer.json() as { tags: string[] }).tags) : unexpected(answer);
  },
  async "list-referrers"({ client, universe }, { repository, subject, mostItems }) {
    const { digest } = known(universe.manifests, subject).content;
    const target = `${pathOf(universe, repository)}/referrers/${digest}?n=${mostItems}`;
    const answer = await client.send("GET", target);
    if (answer.status !== 200) return unexpected(answer);
    const { manifests } = answer.json() as { readonly manifests: readonly { readonly digest: string }[] };
    return JSON.stringify([manifests.map((one) => universe.nameOf(one.digest)), answer.header("link") === undefined]);
  },
};

const pathOf = (universe: Universe, repository: string): string => `/v2/${known(universe.repositories, repository)}`;

const unexpected = ({ status, text }: Answer): string => `answered ${String(status)} ${text.slice(0, 300)}`;

const outcomeOf = (answer: Answer, outcomes: Readonly<Record<number, string>>): string =>
  outcomes[answer.status] ?? unexpected(answer);

async function onBlob(
  { client, universe }: Stage,
  { repository, blob }: { readonly repository: string; readonly blob: string },
  method: "HEAD" | "GET" | "DELETE",
): Promise<string> {
  const { digest } = known(universe.blobs, blob);
  const answer = await client.send(method, `${pathOf(universe, repository)}/blobs/${digest}`);
  if (method === "GET" && answer.status === 200 && digestOf(answer.bytes) !== digest) return "other bytes";
  return outcomeOf(answer, { [method === "DELETE" ? 202 : 200]: done, 404: missing });
}

async function getManifest({ client, universe }: Stage, repository: string, reference: string): Promise<string> {
  const answer = await client.send("GET", `${pathOf(universe, repository)}/manifests/${reference}`);
  if (answer.status !== 200) return outcomeOf(answer, { 404: missing });
  const digest = answer.header("docker-content-digest") ?? "";
  return digestOf(answer.bytes) === digest ? universe.nameOf(digest) : "other bytes";
}

async function deleteManifest({ client, universe }: Stage, repository: string, reference: string): Promise<string> {
  const target = `${pathOf(universe, repository)}/manifests/${reference}`;
  return outcomeOf(await client.send("DELETE", target), { 202: done, 404: missing });
}

function conditionHeaders(universe: Universe, condition: Condition | undefined): Readonly<Record<string, string>> {
  if (condition === undefined) return {};
  if (condition.kind === "is-absent") return { "If-None-Match": "*" };
  if (condition.kind === "exists") return { "If-Match": "*" };
  const digests = condition.manifests.map((name) => `"${known(universe.manifests, name).content.digest}"`);
  return { "If-Match": digests.join(", ") };
}
