/** SQLite's lock of the one who writes, as its index of the log has it (wal.c, WAL_WRITE_LOCK). */
const writeLock = /fcntl\(\d+<?[^,]*, F_SETLK, \{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=120, l_len=1/;
const line = /^(\d+) +(\d+\.\d+) (.*)$/;

/**
 * How long each writer waited for the database, in milliseconds, from a trace of `fcntl` with times (`strace -f -ttt`): from
 * the first time that it was refused the lock to when it got it; most get it at once.
 */
export function lockWaits(trace: string): readonly number[] {
  const waits: number[] = [];
  /** By thread: since when it is refused, and whether its call has not come back yet. */
  const refusedAt = new Map<string, number>();
  const calling = new Set<string>();
  for (const text of trace.split("\n")) {
    const [, thread = "", seconds = "", call = ""] = line.exec(text) ?? [];
    const isResumed = call.startsWith("<... fcntl resumed>") && calling.delete(thread);
    if (!isResumed && !writeLock.test(call)) continue;
    const nowMs = Number(seconds) * 1000;
    if (call.endsWith("<unfinished ...>")) calling.add(thread);
    else if (/ = -1 E(?:AGAIN|ACCES)/.test(call)) refusedAt.set(thread, refusedAt.get(thread) ?? nowMs);
    else if (call.endsWith(" = 0")) {
      waits.push(nowMs - (refusedAt.get(thread) ?? nowMs));
      refusedAt.delete(thread);
    }
  }
  return waits;
}
