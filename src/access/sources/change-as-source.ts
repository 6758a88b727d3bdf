import type { Database } from "../../platform/database/database.ts";
import { writeEvents } from "../../platform/events/record-events.ts";
import { countUpRevision } from "../access-revision.ts";
import type { AccessChange } from "../change-access.ts";

interface SourceChange {
  readonly source: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Whether it may give or take rights beyond what the accounts themselves are: such changes wait for each other. */
  readonly changesRights: boolean;
}

/** A transaction of what a source has told, which the audit log has as the source's doing. */
export const changeAsSource = <T>(
  database: Database,
  { source, now, changesRights }: SourceChange,
  work: (change: AccessChange) => Promise<T>,
): Promise<T> =>
  writeEvents(
    database,
    async (tx) => {
      if (changesRights) await countUpRevision(tx);
      return work({ tx, database, by: "operator", now });
    },
    { actor: { kind: "system", id: source, name: `source ${source}` } },
  );
