/**
 * Passwords that are being checked, by the counter that each would count against: they count before they have failed,
 * else many at once would pass together. One for all processes of a server.
 */
export interface GuessesUnderWay {
  /** @returns how many others there are */
  enter(pair: string): Promise<number>;
  leave(pair: string): Promise<void>;
}

export function guessesUnderWay(): GuessesUnderWay {
  const counts = new Map<string, number>();
  return {
    async enter(pair) {
      const others = counts.get(pair) ?? 0;
      counts.set(pair, others + 1);
      return others;
    },
    async leave(pair) {
      const left = (counts.get(pair) ?? 1) - 1;
      if (left === 0) counts.delete(pair);
      else counts.set(pair, left);
    },
  };
}
