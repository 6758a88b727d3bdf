import { connect, createServer, type Server, type Socket as StreamSocket } from "node:net";
import type { Socket, SocketHandler } from "bun";

/** A connection as it comes, which goes on in one direction when the other has ended. */
export type Connection = StreamSocket;

/** Leads to this machine and nowhere else. */
export const connectToLoopback = (port: number): Connection =>
  connect({ host: "127.0.0.1", port, allowHalfOpen: true });

/** The same without a stream in between: bytes as the kernel has them, at half the cost. */
export const dialLoopback = <Data>(port: number, socket: SocketHandler<Data>, data: Data): Promise<Socket<Data>> =>
  Bun.connect({ hostname: "127.0.0.1", port, socket, data, allowHalfOpen: true });

interface Listener {
  readonly port: number;
  close(): void;
}

interface Where {
  readonly hostname: string;
  /** Others of this process may listen there too. */
  readonly port: number;
}

/** Takes connections until it is closed; those live on. @throws Error EADDRINUSE */
export const takeConnections = ({ hostname, port }: Where, each: (connection: Connection) => void): Promise<Listener> =>
  listening(createServer({ allowHalfOpen: true, noDelay: true }, each), { host: hostname, port, reusePort: true });

/** @param server of `node:net` or `node:tls` */
export async function listening(
  server: Server,
  where: { readonly host: string; readonly port: number; readonly reusePort?: boolean },
): Promise<Listener> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(where, resolve);
  await promise;
  server.off("error", reject);
  server.on("error", () => undefined);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens on no port");
  return { port: address.port, close: () => void server.close() };
}
