import { z } from "zod";
import { line } from "./parameters.ts";

/** What repositories are sorted by: a value for each key. */
export type Labels = Readonly<Record<string, string>>;

/** Those with the key, or with this value of it. */
export interface LabelFilter {
  readonly key: string;
  readonly value?: string;
}

const mostLabels = 32;
const mostKeyCharacters = 128;
const mostValueCharacters = 255;
/** Of keys and values together: a page of a list has a thousand repositories. */
const mostCharacters = 4096;

const keyForm = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** As Docker's and Kubernetes' are: a name, behind a domain and a slash where there is one. */
export const isLabelKey = (text: string): boolean => text.length <= mostKeyCharacters && keyForm.test(text);

const ofKeys =
  "must be 63 letters, digits, -, _ and . at most, which begin and end with a letter or digit, " +
  `behind a domain and a slash where there is one; ${String(mostKeyCharacters)} characters in all`;

const shownCharacters = 64;

/** What hides text or turns it around would be read as another value. */
const visibleValue = () =>
  line(mostValueCharacters).refine(
    (text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text),
    "must be text that can be seen",
  );

export const labels = () =>
  z
    .record(z.string(), visibleValue())
    .superRefine((given, context) => {
      const entries = Object.entries(given);
      for (const [key] of entries) {
        if (isLabelKey(key)) continue;
        context.addIssue({ code: "custom", path: [key.slice(0, shownCharacters)], message: `a label's key ${ofKeys}` });
      }
      if (entries.length > mostLabels) context.addIssue(`must be ${String(mostLabels)} labels at most`);
      const characters = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      if (characters > mostCharacters) {
        context.addIssue(`keys and values must be ${String(mostCharacters)} characters at most together`);
      }
    })
    .describe(`a value for each key; ${String(mostLabels)} at most. A key ${ofKeys}`);

/** As a list is asked: `key`, or `key=value`. */
export const labelFilter = () =>
  z.string().transform((text, context): LabelFilter => {
    const at = text.indexOf("=");
    const [key, value] = at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
    if (isLabelKey(key) && visibleValue().optional().safeParse(value).success) {
      return { key, ...(value !== undefined && { value }) };
    }
    context.addIssue("must be the key of a label, or key=value");
    return z.NEVER;
  });

/** As they are told. */
export const shownLabels = () => z.record(z.string(), z.string());
