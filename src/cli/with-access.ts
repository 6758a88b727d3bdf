import type { Command } from "commander";
import { revisionWatch } from "../access/access-revision.ts";
import { authorizer, type Authorize } from "../access/authorize.ts";
import { type AccessChange, changeAccess } from "../access/change-access.ts";
import type { Reader } from "../platform/database/database.ts";
import type { Page, PageRequest } from "../registry/repositories.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { withStartErrors } from "./with-api.ts";
import { withRegistry } from "./with-registry.ts";

export interface AccessOptions extends CommonOptions {
  readonly json?: true;
}

/** The options of every command about who may do what. */
export const withAccessOptions = (command: Command): Command =>
  withCommonOptions(command).option("--json", "one JSON object a line");

/** What a command about rights is given: the data folder, beside a server that may be running on it. */
export interface LocalAccess {
  readonly read: Reader;
  readonly authorize: Authorize;
  /** Counts with the next request of every server. */
  readonly change: <T>(work: (change: AccessChange) => Promise<T>) => Promise<T>;
}

/** @throws StartError for what is refused */
export const withAccess = (options: AccessOptions, work: (access: LocalAccess) => Promise<void>): Promise<void> =>
  withRegistry(options, async ({ database }, { access: policy }) => {
    const deps = { database, policy, revision: revisionWatch(database), now: Date.now };
    await withStartErrors(() =>
      work({
        read: database.read,
        authorize: authorizer(deps).authorize,
        change: (doing) => changeAccess(deps, "operator", doing),
      }),
    );
  });

const pageSize = 1000;

/** Everything of a list, a page at a time; `keyOf` is what it goes on behind. */
export async function* everyOne<T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  keyOf: (item: T) => string,
): AsyncGenerator<T> {
  for (let after: string | undefined; ;) {
    const { items, isLast } = await list({ after, limit: pageSize });
    yield* items;
    const last = items.at(-1);
    if (isLast || last === undefined) return;
    after = keyOf(last);
  }
}
