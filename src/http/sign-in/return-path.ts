/** Where people are led who have not said where they want to go. */
export const signInPath = "/sign-in";

const path = /^(?:\/[A-Za-z0-9._~@:+,=-]+)+\/?(?:\?[A-Za-z0-9._~@:+,=&%/-]*)?$/;
const longestCharacters = 1024;

/**
 * A path of this server's, where somebody goes on to after a sign-in. Of all that could lead elsewhere, or that browsers and
 * URL parsers read in different ways, nothing is taken.
 */
export const returnPath = (text: string | undefined | null): string =>
  text !== undefined && text !== null && text.length <= longestCharacters && path.test(text) ? text : signInPath;
