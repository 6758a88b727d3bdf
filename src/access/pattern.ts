/**
 * A glob for names below a namespace, anchored at both ends: `*` is any text within a segment, `**` as the last segment
 * is one segment or more.
 */
export interface NamePattern {
  readonly segments: readonly string[];
  /** Whether more segments follow the others. */
  readonly isOpen: boolean;
}

const longestCharacters = 255;
const mostStars = 16;
const segment = /^[a-z0-9._*-]+$/;
const tagPattern = /^[A-Za-z0-9._*-]{1,128}$/;

/** `undefined` for what is no such pattern. */
export function parseNamePattern(text: string): NamePattern | undefined {
  if (text.length > longestCharacters || starsOf(text) > mostStars) return undefined;
  const segments = text.split("/");
  const isOpen = segments.at(-1) === "**";
  const before = isOpen ? segments.slice(0, -1) : segments;
  const isValid = before.every((one) => segment.test(one) && !one.includes("**"));
  return isValid && (isOpen || before.length > 0) ? { segments: before, isOpen } : undefined;
}

export const isTagPattern = (text: string): boolean => tagPattern.test(text) && starsOf(text) <= mostStars;

const starsOf = (text: string): number => text.split("*").length - 1;

export function matchesName({ segments, isOpen }: NamePattern, name: string): boolean {
  const parts = name.split("/");
  if (isOpen ? parts.length <= segments.length : parts.length !== segments.length) return false;
  return segments.every((glob, at) => matchesGlob(glob, parts[at] ?? ""));
}

/** Walks back to the last `*` alone, so the work is bounded by the product of the lengths, whatever the pattern. */
export function matchesGlob(glob: string, text: string): boolean {
  let [at, of, star, tried] = [0, 0, -1, 0];
  while (at < text.length) {
    if (glob[of] === "*") [star, tried, of] = [of, at, of + 1];
    else if (glob[of] === text[at]) [at, of] = [at + 1, of + 1];
    else if (star !== -1) [tried, at, of] = [tried + 1, tried + 1, star + 1];
    else return false;
  }
  while (glob[of] === "*") of += 1;
  return of === glob.length;
}
