import type { Registry } from "../../../src/registry/registry.ts";
import { startHash } from "../../../src/registry/uploads/running-hashes.ts";
import type { PositionedStore } from "../uploads/positioned-store.ts";
import type { VirtualClock } from "../uploads/run-uploads.ts";

interface Parts {
  readonly store: PositionedStore;
  readonly clock: VirtualClock;
}

interface Planted {
  readonly registry?: Partial<Registry>;
  readonly clock?: VirtualClock;
}

/** Mistakes with uploads, each in place of what is right. */
export const uploadFaults: Readonly<Record<string, (parts: Parts) => Planted>> = {
  "a writer does not see that it has lost its hold": ({ clock }) => ({ clock: { ...clock, advance: () => {} } }),
  "a chunk goes behind what an earlier one left": ({ store }) => ({
    registry: {
      blobs: {
        ...store,
        append: ({ key, state }, offset, chunks) =>
          store.append({ key, state }, Math.max(offset, store.peek(key)?.length ?? 0), chunks),
      },
    },
  }),
  "a row tells more bytes than there are": ({ store }) => ({
    registry: {
      blobs: {
        ...store,
        async append(upload, offset, chunks) {
          const { state, size } = await store.append(upload, offset, chunks);
          return { state, size: size + 1 };
        },
      },
    },
  }),
  "a hash of other bytes is taken for that of these": () => {
    const kept = new Map<string, ReturnType<typeof startHash>>();
    return {
      registry: {
        hashes: {
          take: (id, sizeBytes, algorithm) => (sizeBytes === 0 ? startHash(algorithm) : kept.get(id)),
          keep: (id, { hash }) => void kept.set(id, hash),
          takeLeft: () => undefined,
          drop: (id) => void kept.delete(id),
        },
      },
    };
  },
};
