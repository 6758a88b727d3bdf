/**
 * What moves a cursor, hides text or turns it around where a log is looked at: JSON escapes only the first of them. Lone
 * surrogates are no text at all.
 */
const notShown = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text of a client's as it may stand in a log: bounded, and without anything but what can be seen. */
export const loggable = (text: string, mostCharacters: number): string =>
  (text.length > mostCharacters ? `${text.slice(0, mostCharacters)}...` : text).replace(notShown, "?");
