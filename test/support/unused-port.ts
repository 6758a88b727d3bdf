import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A port of the loopback that nobody has, for a program that cannot choose by itself. It lies below those that the
 * kernel gives out, so nobody comes by it in passing.
 */
export async function unusedPort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await Promise.race([
      // Where the port is taken, this rejects as well.
      once(server, "listening").then(
        () => true,
        () => false,
      ),
      once(server, "error").then(() => false),
    ]);
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
