import { envelopeOf } from "../access/envelope.ts";
import { anonymous } from "../access/principal.ts";
import { refusedWindowMs } from "../features/audit/audit-sign-ins.ts";
import type { NoteQueue } from "../features/audit/note-queue.ts";
import type { Note } from "../features/audit/note-sources.ts";
import type { Denial, Problem } from "../oci/problem.ts";
import type { Incoming } from "../platform/runtime/http.ts";
import type { RequestNotes } from "./request-record.ts";

/** Is told of every request that was refused, and why. */
export type OnRefused = (request: Incoming, notes: RequestNotes, problem: Problem) => void;

/** Has it remembered who was denied what by which rule, and which tokens were no good. */
export const auditRefusals =
  (queue: Pick<NoteQueue, "add">): OnRefused =>
  (request, notes, problem) => {
    const { remoteAddress, method } = request;
    const by = envelopeOf(notes.caller ?? anonymous, request);
    const note = (
      what: Pick<Note, "action" | "repository" | "target" | "detail">,
      ...same: readonly string[]
    ): void => {
      const source = [what.action, by.actor.kind, by.actor.id, remoteAddress, ...same].join(" ");
      queue.add({ ...what, outcome: "refused", by, source, windowMs: refusedWindowMs });
    };
    if ("denial" in problem && problem.denial !== undefined) {
      const { repository, handler } = notes;
      const detail = { method, ...told(problem.denial), ...(repository === undefined && { path: request.path }) };
      note({ action: "denied", repository, detail }, method, handler ?? "", repository ?? "", problem.denial.rule);
    } else if (problem.code === "PULL_LIMIT_REACHED") {
      const { limit, windowSeconds, source } = problem.standing;
      note({ action: "pull-limited", repository: notes.repository, target: source, detail: { limit, windowSeconds } });
    } else if (problem.code === "UNAUTHORIZED" && problem.error === "invalid_token") {
      note({ action: "token-refused" });
    }
  };

const told = ({ rule, text, role, grantId, missing }: Denial) => ({ rule, text, role, grantId, missing });
