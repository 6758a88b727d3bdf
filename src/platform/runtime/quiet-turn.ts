const quietLimitMs = 1000;
/** A turn of the event loop in which nothing had come takes less. */
const quietMs = 0.1;

/**
 * Resolves behind a turn of the event loop in which nothing had come, or the limit: what comes between the last accept
 * and the end of a server the kernel refuses, unless net.ipv4.tcp_migrate_req says otherwise. So that time is kept short.
 */
export async function quietTurn(): Promise<void> {
  const deadline = performance.now() + quietLimitMs;
  for (let before = -Infinity, now = performance.now(); now - before > quietMs && now < deadline;) {
    before = now;
    await new Promise((resolve) => setImmediate(resolve));
    now = performance.now();
  }
}
