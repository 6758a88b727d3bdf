import type { YAMLParseError, YAMLWarning } from "yaml";

/** Messages of these end in text of the file; what stands there may be a secret that was not quoted. */
const reasons: Readonly<Record<string, string>> = {
  TAG_RESOLVE_FAILED: "a value that begins with ! must be quoted",
  UNEXPECTED_TOKEN: "something is in the wrong place; a value that begins with a sign must be quoted",
  BAD_DQ_ESCAPE: "a backslash in double quotes begins an escape sequence; single quotes leave it as it is",
};

/** What is wrong, without the text that is. */
export const yamlMistake = ({ code, message }: YAMLParseError | YAMLWarning): string => reasons[code] ?? message;
