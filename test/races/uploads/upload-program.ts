import type { Random } from "../../hostile/fuzz/random.ts";

/** What a client does with one upload session that several share. */
export type UploadStep =
  | {
      readonly kind: "patch";
      /** Whether it says where it means to go on. */
      readonly start: "told" | "untold" | "behind";
      readonly pieces: readonly Buffer[];
      readonly ending: "whole" | "broken" | "short";
    }
  | { readonly kind: "finish"; readonly pieces: readonly Buffer[]; readonly digest: "right" | "wrong" }
  | { readonly kind: "ask" | "cancel" | "lose" | "idle" | "collect" };

export type UploadProgram = readonly (readonly UploadStep[])[];

const kinds = "patch patch patch patch patch patch ask ask lose lose finish cancel idle collect".split(" ");
/** Most programs go on for a while before anything ends the session. */
const longKinds = "patch patch patch patch ask lose collect".split(" ");

export function generateUploads(random: Random, clients = 3, steps = 6): UploadProgram {
  const chosen = random.chance(2) ? kinds : longKinds;
  return Array.from({ length: clients }, () =>
    Array.from({ length: steps }, () => makeStep(random, chosen[random.int(chosen.length)] ?? "ask")),
  );
}

function makeStep(random: Random, kind: string): UploadStep {
  const pieces = (most: number): readonly Buffer[] =>
    Array.from({ length: random.int(most + 1) }, () => random.bytes(1 + random.int(12)));
  if (kind === "patch") {
    return {
      kind,
      start: random.pick(["told", "told", "untold", "behind"]),
      pieces: [random.bytes(4), ...pieces(3)],
      ending: random.pick(["whole", "whole", "whole", "broken", "short"]),
    };
  }
  if (kind === "finish")
    return { kind, pieces: random.chance(2) ? [] : pieces(2), digest: random.chance(6) ? "wrong" : "right" };
  return { kind: kind as "ask" };
}
