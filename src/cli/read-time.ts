import { refuse } from "../access/refusal.ts";

/** `2027-01-31T12:00Z`, as milliseconds since 1970. @throws RegistryError */
export function readTime(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? refuse("invalid", `${text} is no time, such as 2027-01-31T12:00Z`) : time;
}
