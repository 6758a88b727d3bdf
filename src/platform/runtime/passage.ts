import type { Socket } from "bun";

/** One end of what is passed on. */
export interface End {
  /** Absent while it is not there yet. */
  socket?: Socket<Passage>;
  /** What it has not taken so far. */
  waiting?: Buffer | undefined;
  /** Nothing comes behind that. */
  isOver: boolean;
  /** Tells it so. */
  readonly leave: (socket: Socket<Passage>) => void;
}

/** From a client to the server behind. */
export interface Passage {
  readonly client: End;
  readonly behind: End;
  /** Of the connection to the server, by which it asks who that is. */
  port: number;
}

export const newPassage = (socket: Socket<Passage>): Passage => ({
  client: { socket, isOver: false, leave: (client) => client.end() },
  behind: { isOver: false, leave: (behind) => behind.shutdown() },
  port: 0,
});

/** Who says more than the other takes is not listened to until it has. */
export function pass(bytes: Buffer, from: Socket<Passage>, to: End): void {
  if (to.isOver) return;
  const rest = to.waiting === undefined ? untaken(bytes, to.socket) : bytes;
  if (rest === undefined) return;
  to.waiting = to.waiting === undefined ? rest : Buffer.concat([to.waiting, rest]);
  from.pause();
}

export function drain(to: End, from: End): void {
  to.waiting = to.waiting && untaken(to.waiting, to.socket);
  if (to.waiting !== undefined) return;
  if (to.isOver && to.socket !== undefined) to.leave(to.socket);
  else from.socket?.resume();
}

function untaken(bytes: Buffer, socket: Socket<Passage> | undefined): Buffer | undefined {
  const taken = Math.max(0, socket?.write(bytes) ?? 0);
  return taken === bytes.length ? undefined : bytes.subarray(taken);
}

/** What it has not taken yet, it is given first. */
export function finish(end: End): void {
  if (end.isOver) return;
  end.isOver = true;
  if (end.waiting === undefined && end.socket !== undefined) end.leave(end.socket);
}
