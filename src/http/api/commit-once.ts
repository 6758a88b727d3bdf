import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Envelope } from "../../platform/events/access-event.ts";
import { type RecordingWriter, writeEvents } from "../../platform/events/record-events.ts";
import type { IdempotentAnswers, Keyed } from "./idempotent-answers.ts";

type Work = (tx: RecordingWriter) => Promise<unknown>;

interface Committing {
  readonly database: Database;
  /** Whose doing it is, for its events. */
  readonly envelope: Envelope;
  /** Nothing may be left of it. */
  readonly dryRun: boolean;
  /** With the answer that is sent, not with what else the value has. */
  readonly once:
    | { readonly answers: IdempotentAnswers; readonly keyed: Keyed; readonly encode: (value: unknown) => unknown }
    | undefined;
}

/** The transaction of a route's change: for a dry run undone at its end, and with a key only ever made once. */
export const committer =
  (committing: Committing) =>
  async (work: Work): Promise<unknown> => {
    const { database, envelope, dryRun, once } = committing;
    if (dryRun) return rehearse(committing, work);
    if (once === undefined) return writeEvents(database, work, envelope);
    const { answers, keyed, encode } = once;
    try {
      return await writeEvents(
        database,
        async (tx) => {
          const value = await work(tx);
          if (!(await answers.store(tx, keyed, encode(value)))) throw new TakenError();
          return value;
        },
        envelope,
      );
    } catch (error) {
      // Whoever was quicker has also taken what this one wanted to make.
      const other = await answers.find(keyed);
      if (other !== undefined) return other.value;
      if (error instanceof TakenError)
        fail({ code: "CONFLICT", reasons: ["the same request is being answered; ask again"] });
      throw error;
    }
  };

/** Another request with the same key has come first. */
class TakenError extends Error {
  override readonly name = "TakenError";
}

/** Carries a value out of a transaction that has to be undone. */
class Rehearsed extends Error {
  override readonly name = "Rehearsed";
  readonly value: unknown;
  constructor(value: unknown) {
    super("undone on purpose");
    this.value = value;
  }
}

async function rehearse({ database, envelope }: Committing, work: Work): Promise<unknown> {
  try {
    return await writeEvents(
      database,
      async (tx) => {
        throw new Rehearsed(await work(tx));
      },
      envelope,
    );
  } catch (error) {
    if (error instanceof Rehearsed) return error.value;
    throw error;
  }
}
