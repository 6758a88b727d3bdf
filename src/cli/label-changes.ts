import { isLabelKey, type Labels } from "../access/api/labels.ts";
import { StartError } from "./start-error.ts";

/** By key, what it is to be; `undefined`: it goes. */
export type LabelChanges = ReadonlyMap<string, string | undefined>;

/** `key=value` sets a label, `key-` takes it away. @throws StartError */
export function labelChanges(given: readonly string[]): LabelChanges {
  const changes = new Map<string, string | undefined>();
  for (const text of given) {
    const at = text.indexOf("=");
    const [key, value] = at === -1 ? [text.slice(0, -1)] : [text.slice(0, at), text.slice(at + 1)];
    if (!isLabelKey(key) || (value === undefined && !text.endsWith("-"))) {
      throw new StartError(`${text}: a label is key=value, and key- takes it away`);
    }
    if (changes.has(key)) throw new StartError(`the label ${key} is there twice`);
    changes.set(key, value);
  }
  return changes;
}

/** Of an option that is there once for each. */
export const eachOne = (text: string, before: readonly string[] | boolean | undefined): readonly string[] => [
  ...(Array.isArray(before) ? before : []),
  text,
];

/** Those alone. @throws StartError */
export function labelsIn(given: readonly string[]): Labels {
  const changes = labelChanges(given);
  for (const [key, value] of changes) {
    if (value === undefined) throw new StartError(`${key}-: there is no label to take away`);
  }
  return withChanges({}, changes);
}

export function withChanges(before: Labels, changes: LabelChanges): Labels {
  const after = new Map(Object.entries(before));
  for (const [key, value] of changes) {
    if (value === undefined) after.delete(key);
    else after.set(key, value);
  }
  return Object.fromEntries([...after].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
