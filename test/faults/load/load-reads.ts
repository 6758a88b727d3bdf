import { digestOf } from "../../protocol/content.ts";
import { type Action, oneOf } from "./load-action.ts";

const readBlob: Action = async ({ path, state, complain }, registry) => {
  const digest = oneOf([...state().blobs]);
  if (digest === undefined) return;
  const { status, bytes } = await registry.send("GET", `${path}/blobs/${digest}`);
  const found = status === 200 ? digestOf(bytes) : String(status);
  if (found !== digest) complain(`read ${digest}: ${found}`);
};

const readTag: Action = async ({ path, state, complain }, registry) => {
  const [tag, digest] = oneOf([...state().tags]) ?? [];
  if (tag === undefined) return;
  const { status, bytes } = await registry.send("GET", `${path}/manifests/${tag}`);
  const found = status === 200 ? digestOf(bytes) : String(status);
  if (found !== digest) complain(`the tag ${tag} leads to ${found} in place of ${digest ?? ""}`);
};

const head: Action = async ({ path, state, complain }, registry) => {
  for (const [kind, digests] of [
    ["blobs", state().blobs],
    ["manifests", state().manifests],
  ] as const) {
    const digest = oneOf([...digests]);
    if (digest === undefined) continue;
    const { status, header } = await registry.send("HEAD", `${path}/${kind}/${digest}`);
    const found = status === 200 ? header("docker-content-digest") : String(status);
    if (found !== digest) complain(`HEAD of ${kind} ${digest}: ${found ?? ""}`);
  }
};

const listTags: Action = async ({ path, state, complain }, registry) => {
  if (state().blobs.size === 0) return;
  const list = await registry.send("GET", `${path}/tags/list`);
  if (list.status !== 200) return complain(`the list of tags: ${String(list.status)}`);
  const { tags } = list.json() as { tags: readonly string[] };
  const expected = [...state().tags.keys()].toSorted();
  if (tags.toSorted().join() !== expected.join()) {
    complain(`the list of tags is ${tags.join()} in place of ${expected.join()}`);
  }
};

const readUpload: Action = async ({ state, complain }, registry) => {
  const [location, upload] = oneOf([...state().uploads]) ?? [];
  if (location === undefined || upload === undefined) return;
  const answer = await registry.send("GET", location);
  const expected = `204 0-${String(upload.toldBytes - 1)}`;
  const found = `${String(answer.status)} ${answer.header("range") ?? ""}`;
  if (found !== expected) complain(`an upload stands at ${found} in place of ${expected}`);
};

const listReferrers: Action = async ({ path, subjects, state, complain }, registry) => {
  const subject = oneOf([...subjects.values()]);
  if (subject === undefined) return;
  const list = await registry.send("GET", `${path}/referrers/${subject}`);
  if (list.status !== 200) return complain(`the referrers of ${subject}: ${String(list.status)}`);
  const { manifests } = list.json() as { manifests: readonly { digest: string }[] };
  const expected = [...subjects].flatMap(([artifact, its]) =>
    its === subject && state().manifests.has(artifact) ? [artifact] : [],
  );
  const found = manifests.map(({ digest }) => digest);
  if (found.toSorted().join() !== expected.toSorted().join()) {
    complain(`the referrers of ${subject} are ${found.join()} in place of ${expected.join()}`);
  }
};

export const reads: readonly Action[] = [readBlob, readTag, head, listTags, readUpload, listReferrers];
