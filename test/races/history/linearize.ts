import { keyOfState, type Model, type State } from "../program/model.ts";
import { observes } from "../program/operation.ts";
import { describeHistory, type Entry, type History } from "./history.ts";

/**
 * Whether there is an order of the operations, each at a moment between its call and its answer, in which the model
 * gives every answer (Wing and Gong's search; states that were reached before by the same operations are not tried
 * again, as in Lowe's).
 */
export function isLinearizable(history: History, model: Model): boolean {
  const entries = history.toSorted((a, b) => a.calledAt - b.calledAt);
  const tried = new Set<string>();
  const search = (left: readonly Entry[], state: State): boolean => {
    if (left.every(({ outcome }) => outcome === undefined)) return true;
    const key = `${left.map((entry) => entries.indexOf(entry)).join()} ${keyOfState(state)}`;
    if (tried.has(key)) return false;
    tried.add(key);
    // Whoever was called after another had its answer cannot come before it.
    const firstAnswer = Math.min(...left.map(({ returnedAt }) => returnedAt));
    for (const entry of left) {
      if (entry.calledAt > firstAnswer) break;
      const rest = left.filter((other) => other !== entry);
      for (const { outcome, state: after } of model.apply(state, entry.operation)) {
        if ((entry.outcome === undefined || outcome === entry.outcome) && search(rest, after)) return true;
      }
    }
    return false;
  };
  return search(entries, model.initial);
}

/** The part of a history that cannot be explained: up to the first answer that breaks it, without needless readers. */
export function shrink(history: History, model: Model): History {
  const answers = history.map(({ returnedAt }) => returnedAt).filter(Number.isFinite);
  const until = answers.toSorted((a, b) => a - b).find((time) => !isLinearizable(cutAt(history, time), model));
  let shrunk = until === undefined ? history : cutAt(history, until);
  for (const entry of shrunk) {
    if (entry.outcome !== undefined && !observes(entry.operation)) continue;
    const smaller = shrunk.filter((other) => other !== entry);
    if (!isLinearizable(smaller, model)) shrunk = smaller;
  }
  return shrunk;
}

/** What was known at a moment: what had no answer then may have happened. */
const cutAt = (history: History, time: number): History =>
  history
    .filter(({ calledAt }) => calledAt <= time)
    .map((entry) => (entry.returnedAt <= time ? entry : { ...entry, returnedAt: Infinity, outcome: undefined }));

/** What is wrong with a history, told so that a reader can follow it; nothing where it is right. */
export function explain(history: History, model: Model): string | undefined {
  if (isLinearizable(history, model)) return undefined;
  return `no order of these explains the answers:\n${describeHistory(shrink(history, model))}`;
}
