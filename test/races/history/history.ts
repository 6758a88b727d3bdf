import { describeOperation, type Operation } from "../program/operation.ts";

/** One operation as its client saw it. Times are of one clock that all clients share. */
export interface Entry {
  readonly client: number;
  readonly operation: Operation;
  readonly calledAt: number;
  /** `Infinity` where no answer came. */
  readonly returnedAt: number;
  /** What was answered; without it, it may have happened at any time since, or never. */
  readonly outcome: string | undefined;
}

export type History = readonly Entry[];

const shown = (time: number): string => (Number.isInteger(time) ? String(time) : time.toFixed(1));

const describeEntry = ({ client, operation, calledAt, returnedAt, outcome }: Entry): string =>
  `client ${client}  ${shown(calledAt)}..${shown(returnedAt)}  ${describeOperation(operation)}  -> ${outcome ?? "?"}`;

export const describeHistory = (history: History): string =>
  history
    .toSorted((a, b) => a.calledAt - b.calledAt)
    .map(describeEntry)
    .join("\n");
