import type { CallApi } from "../../access/api/client.ts";
import type { Contract } from "../../access/api/contract.ts";
import type { Call, Route } from "../../access/api/route.ts";
import { anonymous } from "../../access/principal.ts";
import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Envelope } from "../../platform/events/access-event.ts";
import { encoder } from "./answer-call.ts";
import { committer } from "./commit-once.ts";
import { parseInput } from "./read-input.ts";

interface LocalDeps {
  readonly database: Database;
  readonly routes: readonly Route[];
  readonly envelope: Envelope;
}

/**
 * Runs routes without a server, for whoever has the data folder: what they may is not asked, and all else is as it is over
 * HTTP.
 * @throws RegistryError
 */
export function callLocally({ database, routes, envelope }: LocalDeps): CallApi {
  const byId = new Map(routes.map((one) => [one.contract.id, one]));
  const call = async (contract: Contract, asked: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const route = byId.get(contract.id) ?? fail({ code: "ROUTE_UNKNOWN" });
    const dryRun = asked["dryRun"] === true;
    const value = await route.run({
      ...parseInput(contract, asked),
      caller: anonymous,
      by: "operator",
      envelope,
      remoteAddress: "",
      dryRun,
      expected: undefined,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the work of this route gives is what it gets
      commit: committer({ database, envelope, dryRun, once: undefined }) as Call<Contract>["commit"],
      session: { secret: undefined, keep: () => {}, drop: () => {} },
      confirm: async () => undefined,
    });
    return encoder(contract)(value);
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each route gives what its contract says
  return call as unknown as CallApi;
}
