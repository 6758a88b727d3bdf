import type { Reading } from "../platform/database/prepared.ts";
import { untilCountedUp } from "./access-revision.ts";
import { type Account, findAccountById } from "./accounts.ts";
import { findRobotById, type Robot } from "./robots/find-robot.ts";
import { findToken, type StoredToken } from "./tokens/find-token.ts";
import { robotOfRule } from "./workload/rules.ts";

type Find<V> = (id: string) => Promise<V | undefined>;

/** Whose something is that was shown, by its id: each as it is now, and no query while nothing about sign-ins changes. */
export interface Holders {
  readonly account: Find<Account>;
  readonly robot: Find<Robot>;
  readonly robotOfRule: Find<Robot>;
  readonly token: Find<StoredToken>;
}

/** A query takes 60 µs of each request, 20 of them SQLite's; to learn that nothing has changed, 10 beside pushes. */
export function rememberedHolders(database: Reading, signIns: () => Promise<number>): Holders {
  const remembered = <V>(find: (database: Reading, id: string) => Promise<V | undefined>): Find<V> => {
    const remember = untilCountedUp<Found<V>>(signIns, bounds);
    return async (id) => {
      const { found } = await remember(id, async () => toRemember(await find(database, id)));
      return found;
    };
  };
  return {
    account: remembered(findAccountById),
    robot: remembered(findRobotById),
    robotOfRule: remembered(robotOfRule),
    token: remembered(findToken),
  };
}

const bounds = { max: 1000, maxSize: 1000 };

interface Found<V> {
  readonly found: V | undefined;
}

/** What is not there is looked for each time: there is no end to what could be asked for. */
const toRemember = <V>(found: V | undefined) => ({ value: { found }, ...(found !== undefined && { size: 1 }) });
