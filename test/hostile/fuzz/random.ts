/** Random choices that a seed repeats. */
export interface Random {
  /** 0 to `below`, which is not reached. */
  int(below: number): number;
  chance(oneIn: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
  bytes(length: number): Buffer;
}

/** mulberry32: 32 bits of state, which is enough for choices that nobody must guess. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const int = (below: number): number => next() % below;
  return {
    int,
    chance: (oneIn) => int(oneIn) === 0,
    pick: (choices) => choices[int(choices.length)] ?? choices[0],
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(256))),
  };
}
