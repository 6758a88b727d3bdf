import { networkOf } from "../../access/network.ts";
import type { Entry } from "./entry.ts";

/** Something that changes nothing and is remembered all the same: a sign-in, a refusal. */
export interface Note extends Omit<Entry, "at" | "times"> {
  /** What of one source is the same thing once more. */
  readonly source: string;
  /** For how long repeats are gathered into one entry. */
  readonly windowMs: number;
}

export interface Source {
  readonly note: Note;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The entry of the first one, once it is written. */
  entryId: number | undefined;
  repeats: number;
  latest: number;
}

/** Sources that are remembered, and how many of them are whose. */
export interface NoteSources extends Iterable<Source> {
  readonly size: number;
  get(source: string): Source | undefined;
  add(source: Source): void;
  delete(source: Source): void;
  /** The note as it is remembered: one of many, beyond the share of a client or of all strangers, is told with the others. */
  within(note: Note): Note;
}

interface Shares {
  /** How many sources may be one client's. */
  readonly mostOfClient: number;
  /** How many may be of those who have not signed in: some of them hold very many networks. */
  readonly mostOfStrangers: number;
}

export function noteSources({ mostOfClient, mostOfStrangers }: Shares): NoteSources {
  const sources = new Map<string, Source>();
  const ofClients = new Map<string, number>();
  let ofStrangers = 0;
  const count = ({ note }: Source, by: 1 | -1): void => {
    const client = clientOf(note);
    const counted = (ofClients.get(client) ?? 0) + by;
    if (counted === 0) ofClients.delete(client);
    else ofClients.set(client, counted);
    if (isStrangers(note)) ofStrangers += by;
  };
  const withinClient = (note: Note): Note =>
    sources.has(note.source) || (ofClients.get(clientOf(note)) ?? 0) < mostOfClient ? note : oneOfMany(note);
  return {
    get size() {
      return sources.size;
    },
    [Symbol.iterator]: () => sources.values(),
    get: (source) => sources.get(source),
    add(source) {
      if (sources.has(source.note.source)) return;
      sources.set(source.note.source, source);
      count(source, 1);
    },
    delete(source) {
      if (sources.delete(source.note.source)) count(source, -1);
    },
    within(given) {
      const note = withinClient(given);
      const hasRoom = !isStrangers(note) || sources.has(note.source) || ofStrangers < mostOfStrangers;
      return hasRoom ? note : oneOfStrangers(note);
    },
  };
}

/** Somebody at an address, or at any of a network that one party is likely to hold. */
const clientOf = ({ by: { actor, address = "" } }: Note): string => `${actor.kind} ${actor.id} ${networkOf(address)}`;

/** Whoever asks for thousands of names would crowd out what others do: what they asked for is not told one by one. */
function oneOfMany(note: Note): Note {
  const { action, outcome, by, windowMs } = note;
  const source = `many ${action} ${outcome} ${clientOf(note)}`;
  return { action, outcome, by, windowMs, source, detail: { many: true } };
}

const isStrangers = ({ by: { actor } }: Note): boolean => actor.kind === "anonymous";

/** From wherever: what the others did must not get lost. */
function oneOfStrangers({ action, outcome, by: { actor, requestId }, windowMs }: Note): Note {
  const by = { actor, ...(requestId !== undefined && { requestId }) };
  return { action, outcome, by, windowMs, source: `many ${action} ${outcome} of strangers`, detail: { many: true } };
}
