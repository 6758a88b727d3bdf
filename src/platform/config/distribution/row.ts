/** Values of a key that ask for nothing that Berth does otherwise. */
export interface Harmless {
  /** As the documentation says it, behind "except". */
  readonly text: string;
  holds(value: unknown): boolean;
}

export type Fate =
  | {
      readonly kind: "maps";
      /** Path of Berth's setting. */
      readonly to: string;
      readonly convert?: (value: unknown) => unknown;
      readonly note?: string;
      /** What distribution does when its file does not hold the key, where that is not Berth's default. */
      readonly whenAbsent?: string | boolean;
    }
  | { readonly kind: "no-effect"; readonly because: string }
  | {
      readonly kind: "stops";
      /** What to do. */
      readonly instead: string;
      readonly unless?: Harmless;
      /** The key alone means something, whatever its value. */
      readonly evenEmpty?: true;
      /** Berth's setting that takes the key's place when it is given this value. */
      readonly yieldsTo?: { readonly path: string; readonly value: string };
    };

/** One key of distribution's configuration, with everything below it, and what becomes of it. */
export interface Row {
  readonly key: string;
  readonly fate: Fate;
}
