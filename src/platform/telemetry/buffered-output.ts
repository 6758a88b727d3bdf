import { write, writeSync } from "node:fs";

export interface BufferedOutput {
  /** A text that is expensive to make is made when it is written: many at once cost a third of one here and there. */
  write(text: string | (() => string)): void;
  /** Hands on what has gathered, without waiting for the interval. */
  flush(): void;
  /** Resolves when everything written before has been handed to the system. */
  drain(): Promise<void>;
  /** For the end of the process, where nothing can be waited for any more. */
  flushSync(): void;
}

export interface BufferLimits {
  readonly intervalMs: number;
  /** So many characters are handed on at once, whatever the interval says. */
  readonly batchLength: number;
  /** Beyond these characters, lines are left out and counted: a reader that has stopped must not take the memory. */
  readonly mostLength: number;
  /** The line that tells how many were left out. */
  readonly omitted: (lines: number) => string;
}

/** How long an end of the process waits for a write that is under way; longer only where nobody reads. */
const lastWriteMs = 50;
const retryMs = 10;
/** Of a text that is not made yet: the line of a request. */
const expectedLength = 300;
const isFull = (error: NodeJS.ErrnoException | null): boolean => error?.code === "EAGAIN";

/** Gathers text and writes it in batches off the event loop, in order, one write at a time. */
export function bufferedOutput(fd: number, limits: BufferLimits): BufferedOutput {
  const gathered = gather(limits);
  let isWriting = false;
  /** Somebody has asked for what gathers during a write, or waits for all of it. */
  let isWanted = false;
  let isAwaited = false;
  let timer: NodeJS.Timeout | undefined;
  let drained = Promise.withResolvers<undefined>();

  const settle = (): void => {
    isAwaited = false;
    drained.resolve(undefined);
    drained = Promise.withResolvers();
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    isWanted = isWriting;
    if (isWriting) return;
    const batch = gathered.take();
    if (batch === undefined) return settle();
    isWriting = true;
    return writeAll(fd, batch, () => {
      isWriting = false;
      // Write after write without a rest would be one for every few lines.
      if (isWanted || isAwaited || gathered.isBatch()) flush();
      else if (!gathered.isEmpty()) timer ??= setTimeout(flush, limits.intervalMs);
    });
  };
  return {
    write(text) {
      gathered.add(text);
      if (gathered.isBatch()) flush();
      else timer ??= setTimeout(flush, limits.intervalMs);
    },
    flush,
    async drain() {
      const { promise } = drained;
      isAwaited = true;
      flush();
      await promise;
    },
    flushSync() {
      clearTimeout(timer);
      // The write that is under way ends in its own thread; what comes after it must not overtake it.
      if (isWriting) sleepSync(lastWriteMs);
      const batch = gathered.take();
      if (batch !== undefined) writeAllSync(fd, batch);
    },
  };
}

/** What waits to be written. */
function gather({ batchLength, mostLength, omitted }: BufferLimits) {
  let lines: (string | (() => string))[] = [];
  let length = 0;
  let omittedLines = 0;
  return {
    add(line: string | (() => string)): void {
      const size = typeof line === "string" ? line.length : expectedLength;
      if (length + size > mostLength) {
        omittedLines++;
        return;
      }
      lines.push(line);
      length += size;
    },
    isBatch: () => length >= batchLength,
    isEmpty: () => lines.length === 0 && omittedLines === 0,
    take(): Buffer | undefined {
      if (omittedLines > 0) lines.push(omitted(omittedLines));
      if (lines.length === 0) return undefined;
      const batch = Buffer.from(lines.map((line) => (typeof line === "string" ? line : line())).join(""));
      [lines, length, omittedLines] = [[], 0, 0];
      return batch;
    },
  };
}

function writeAll(fd: number, batch: Buffer, done: () => void): void {
  write(fd, batch, (error, written) => {
    if (isFull(error)) return void setTimeout(() => writeAll(fd, batch, done), retryMs);
    // Without a reader (EPIPE) there is nobody to tell.
    if (error !== null || written === batch.length) return done();
    return writeAll(fd, batch.subarray(written), done);
  });
}

function writeAllSync(fd: number, batch: Buffer): void {
  let full = 0;
  for (let offset = 0; offset < batch.length && full * retryMs < 1000;) {
    try {
      offset += writeSync(fd, batch, offset);
    } catch (error) {
      if (!(error instanceof Error) || !isFull(error)) return;
      full++;
      sleepSync(retryMs);
    }
  }
}

const sleepSync = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
