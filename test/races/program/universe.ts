import type { Digest } from "../../../src/oci/digest.ts";
import type { RepositoryName } from "../../../src/oci/names.ts";
import type { Random } from "../../hostile/fuzz/random.ts";
import { digestOf, imageOf, indexOf, repositoryName, subjectOf, type TestManifest } from "../../support/registry.ts";

/** The few things that a random program is about; their real names are its own, so that programs share a database. */
export interface Universe {
  readonly repositories: ReadonlyMap<string, RepositoryName>;
  readonly tags: readonly string[];
  readonly blobs: ReadonlyMap<string, { readonly digest: Digest; readonly text: string }>;
  readonly manifests: ReadonlyMap<string, KnownManifest>;
  /** The short name of a manifest's digest. */
  nameOf(digest: string): string;
}

export interface KnownManifest {
  readonly content: TestManifest;
  /** Blobs without which it cannot be pushed. */
  readonly needs: readonly string[];
  readonly subject: string | undefined;
}

const hexDigits = Array.from({ length: 16 }, (_, digit) => digit.toString(16));

/**
 * @param salt makes every digest and repository another one
 * @param random chooses the order of the digests, whatever the salt is: it is that of locks and of lists
 */
export function makeUniverse(salt: string, random: Random): Universe {
  const free = [...hexDigits];
  /** Content whose digest begins with a digit of its own. */
  const steered = <T>(make: (nonce: string) => T, digestIn: (made: T) => Digest): T => {
    const [digit] = free.splice(random.int(free.length), 1);
    for (let nonce = 0; ; nonce += 1) {
      const made = make(`${salt} ${String(nonce)}`);
      if (digestIn(made).startsWith(`sha256:${digit ?? ""}`)) return made;
    }
  };
  const blobs = new Map(
    ["b0", "b1", "b2"].map((name) => {
      const text = steered((nonce) => `${name} ${nonce}`, digestOf);
      return [name, { digest: digestOf(text), text }];
    }),
  );
  const manifests = new Map<string, KnownManifest>();
  const add = (name: string, make: (nonce: string) => TestManifest, more: Partial<KnownManifest> = {}): void => {
    const content = steered(make, ({ digest }) => digest);
    manifests.set(name, { content, needs: [], subject: undefined, ...more });
  };
  const addImage = (name: string, needs: readonly [string, string]): void => {
    const [config, layer] = needs;
    const digests = [known(blobs, config).digest, known(blobs, layer).digest] as const;
    add(name, (nonce) => imageOf(digests, { annotations: { nonce } }), { needs });
  };
  const addIndex = (name: string, children: readonly Digest[]): void =>
    add(name, (nonce) => indexOf(children, { annotations: { name, nonce } }));
  addImage("m0", ["b0", "b1"]);
  addImage("m1", ["b2", "b1"]);
  const m0 = known(manifests, "m0").content.digest;
  addIndex("i0", [m0]);
  for (const name of ["x0", "x1"]) addIndex(name, []);
  for (const name of ["s0", "s1", "s2"]) {
    add(name, (nonce) => indexOf([], { annotations: { name, nonce }, ...subjectOf(m0) }), { subject: "m0" });
  }
  const names = new Map([...manifests].map(([name, { content }]) => [String(content.digest), name]));
  return {
    repositories: new Map(["r0", "r1"].map((name) => [name, repositoryName(`races/${salt}-${name}`)])),
    tags: ["a", "b"],
    blobs,
    manifests,
    nameOf: (digest) => names.get(digest) ?? `unknown ${digest}`,
  };
}

export function known<T>(of: ReadonlyMap<string, T>, name: string): T {
  const found = of.get(name);
  if (found === undefined) throw new Error(`the universe has no ${name}`);
  return found;
}
