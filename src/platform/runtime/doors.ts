import type { Server } from "bun";
import type { Front } from "./front.ts";
import type { Place } from "./listening-socket.ts";
import { quietTurn } from "./quiet-turn.ts";
import { steerToNewest } from "./steer-connections.ts";

/** A server at a port, with what stands before it while an authority looks, or where clients are asked for certificates. */
export interface Door {
  readonly server: Server<undefined>;
  /** Where clients come in: the server's, or that of what stands before it. */
  readonly port: number;
  readonly front?: Front;
  /** Where several processes share the port. */
  readonly place?: Place;
}

/** Who takes the connections of a port: one door, and for a while those that it took over from. */
export interface Doors {
  all(): readonly Door[];
  /** Of those whose answers end their connections. */
  isLeaving(server: Server<undefined>): boolean;
  sendAllAway(): void;
  /** What stands before a server, which knows who its clients are. */
  frontOf(server: Server<undefined>): Front | undefined;
  /**
   * One after the other. Resolves when nobody comes in by the old one any more; requests that run there come to their
   * end. Whoever opens must share the port with the one before. Does nothing once all have been sent away.
   * @throws what `open` throws: the old one stays
   */
  takeOver(open: () => Door | Promise<Door>): Promise<void>;
}

/** How long a door that another takes over from goes on beside it. */
const handOverMs = 2000;

/** @param idleMs when a server closes a connection on which nothing moves */
export function openDoors(first: Door, port: number, idleMs: number): Doors {
  let current = first;
  let allLeave = false;
  let before = Promise.resolve();
  const doors = new Set([first]);
  const leaving = new Set<Server<undefined>>();
  /**
   * Ends a door so that no client notices. To stop closes the connections that wait for their next request, and one may
   * be on its way: so first each is told with an answer that it ends.
   */
  const close = async ({ server, front, place }: Door): Promise<void> => {
    leaving.add(server);
    if (place === undefined) await steerToNewest(port);
    else place.leave();
    await Bun.sleep(handOverMs);
    await quietTurn();
    if (front === undefined) void server.stop(false);
    else void front.close().then(() => server.stop(false));
  };
  /** Who is in a handshake then, or in a request, has the time to end it. */
  const end = async (door: Door): Promise<void> => {
    const { server, front } = door;
    do await Bun.sleep(idleMs);
    while (server.pendingRequests > 0);
    front?.destroy();
    await server.stop(true);
    leaving.delete(server);
    doors.delete(door);
  };
  const replace = async (open: () => Door | Promise<Door>, earlier: Promise<void>): Promise<void> => {
    await earlier;
    if (allLeave) return;
    const old = current;
    current = await open();
    doors.add(current);
    if (allLeave) leaving.add(current.server);
    await close(old);
    void end(old);
  };
  return {
    all: () => [...doors],
    isLeaving: (server) => leaving.has(server),
    frontOf(server) {
      // Almost always there is one door.
      if (doors.size === 1) return current.front;
      return [...doors].find((door) => door.server === server)?.front;
    },
    sendAllAway() {
      allLeave = true;
      for (const { server } of doors) leaving.add(server);
    },
    takeOver(open) {
      const taken = replace(open, before);
      before = taken.catch(() => undefined);
      return taken;
    },
  };
}
