import type { Database } from "../../platform/database/database.ts";

/** When, and from where, tokens were last used: written down in batches, and never by a request. */
export interface TokenUses {
  note(token: { readonly id: string; readonly lastUsedAt: number | null }, remoteAddress: string | undefined): void;
  /** Writes down what was noted. */
  flush(): Promise<void>;
}

interface TokenUsesDeps {
  readonly database: Database;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Use {
  readonly at: number;
  readonly address: string | null;
}

const writtenAfterMs = 15_000;
/** A token's use is written down once a minute at most. */
const restMs = 60_000;
const mostNoted = 10_000;

export function tokenUses({ database, now }: TokenUsesDeps): TokenUses {
  const noted = new Map<string, Use>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (noted.size === 0) return;
    const uses = [...noted];
    noted.clear();
    await database.write(
      async (tx) => {
        for (const [id, { at, address }] of uses) {
          await tx
            .updateTable("tokens")
            .set({ last_used_at: at, last_used_address: address })
            .where("id", "=", id)
            .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<=", at - restMs)]))
            .execute();
        }
      },
      { survives: "process" },
    );
  };
  return {
    note({ id, lastUsedAt }, remoteAddress) {
      const at = now();
      if (lastUsedAt !== null && at - lastUsedAt < restMs) return;
      if (noted.size >= mostNoted && !noted.has(id)) return;
      noted.set(id, { at, address: remoteAddress ?? null });
      // What fails is noted again with the next use; that the database does not answer, others tell.
      timer ??= setTimeout(() => void flush().catch(() => {}), writtenAfterMs).unref();
    },
    flush,
  };
}
