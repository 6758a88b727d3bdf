/** What the clients of one upload session know together, and what no registry may do to them. */
export interface Ledger {
  /** The bytes up to where the session stands as far as anyone was told; holes where a body without an answer may have left some. */
  readonly told: (number | undefined)[];
  /** Every body that was sent, and where it was meant to begin: without an answer, some of it may have been kept. */
  readonly sent: { readonly start: number | undefined; readonly bytes: Buffer }[];
  /** Told by an answer: the session is over, and nothing may succeed any more. */
  isOver: boolean;
  /** The collector may have it by now. */
  mayBeGone: boolean;
  readonly problems: string[];
}

export const newLedger = (): Ledger => ({ told: [], sent: [], isOver: false, mayBeGone: false, problems: [] });

/** A body was acknowledged whole: from here on the session has it, right behind what it had. */
export function acknowledge(ledger: Ledger, end: number, bytes: Buffer): void {
  const start = end - bytes.length;
  for (const [at, byte] of bytes.entries()) {
    if (ledger.told[start + at] !== undefined) {
      ledger.problems.push(`byte ${start + at} was acknowledged twice: two writers at once`);
      return;
    }
    ledger.told[start + at] = byte;
  }
  for (let at = 0; at < start; at += 1) ledger.told[at] ??= undefined;
}

/** The session's bytes, held against everything that was acknowledged and everything that may have been kept. */
export function judgeBytes({ told, sent }: Ledger, bytes: Buffer): string | undefined {
  if (bytes.length < told.length) return `${told.length} bytes were acknowledged, ${bytes.length} are there`;
  for (let at = 0; at < bytes.length; at += 1) {
    if (told[at] !== undefined) {
      if (told[at] !== bytes[at]) return `byte ${at} is not the one that was acknowledged`;
      continue;
    }
    // What nobody was told of is the beginning of a body that broke off, or whose answer is still to come.
    const end = endOfHole(told, at, bytes.length);
    const kept = bytes.subarray(at, end);
    if (!isMadeOf(kept, at, sent)) return `bytes ${at} to ${end} were sent by nobody`;
    at = end - 1;
  }
  return undefined;
}

const endOfHole = (told: Ledger["told"], start: number, length: number): number => {
  let end = start;
  while (end < length && told[end] === undefined) end += 1;
  return end;
};

/** Whether bytes are the beginning of one body, or of several behind each other. */
function isMadeOf(bytes: Buffer, start: number, sent: Ledger["sent"]): boolean {
  if (bytes.length === 0) return true;
  return sent.some((body) => {
    if (body.start !== undefined && body.start !== start) return false;
    for (let length = Math.min(body.bytes.length, bytes.length); length > 0; length -= 1) {
      const isPrefix = body.bytes.subarray(0, length).equals(bytes.subarray(0, length));
      if (isPrefix && isMadeOf(bytes.subarray(length), start + length, sent)) return true;
    }
    return false;
  });
}
