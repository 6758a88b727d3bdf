import { z } from "zod";

/** What no database stores, or not as it was. */
const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

/** Text for people, on one line. */
export const line = (mostCharacters: number) =>
  z
    .string()
    .max(mostCharacters)
    // oxlint-disable-next-line no-control-regex
    .refine((text) => isStorable(text) && !/[\x00-\x1f\x7f]/.test(text), "must be one line of text");

/** Text that is compared with what is stored. */
export const word = (mostCharacters: number) =>
  z.string().min(1).max(mostCharacters).refine(isStorable, "must be text without a NUL");

/** Text for people, on as many lines as there are. */
export const markdown = (mostCharacters: number) =>
  z.string().max(mostCharacters).refine(isStorable, "must be text without a NUL").describe("Markdown");

/** A whole number in a query. */
const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .transform((text, context) => {
      const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
      if (number >= least && number <= most) return number;
      context.addIssue(`must be a whole number from ${least} to ${most}`);
      return z.NEVER;
    })
    .meta({ type: "integer", minimum: least, maximum: most });

/** `true` or `false` in a query. */
export const flag = () =>
  z
    .string()
    .transform((text, context) => {
      if (text === "true" || text === "false") return text === "true";
      context.addIssue("must be true or false");
      return z.NEVER;
    })
    .meta({ type: "boolean" });

const mostItems = 1000;
export const usualItems = 100;

/** Of every list: how many, and behind which one. */
export const pageQuery = {
  limit: wholeNumber(1, mostItems).optional().describe(`how many; ${usualItems} where it is not said`),
  after: word(512).optional().describe("`next` of the page before"),
};

/** A page of a list. `next` is absent on the last one. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    next: z.string().optional().describe("what `after` is to be for the next page"),
  });

const latestMs = Date.UTC(9999, 11, 31);

/** When something ends. What an offset takes out of the four digits of a year could not be told again. */
export const end = () =>
  z.iso.datetime({ offset: true }).refine((text) => Date.parse(text) <= latestMs, "must be before the end of 9999");

export const time = () => z.iso.datetime().describe("RFC 3339, in UTC");
export const toTime = (ms: number): string => new Date(ms).toISOString();
