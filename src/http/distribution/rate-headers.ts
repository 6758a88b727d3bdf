import type { PullStanding } from "../../oci/problem.ts";
import type { ReplyHeaders } from "../../platform/runtime/http.ts";

/** As Docker Hub sends them, which clients and monitors read. */
export const rateHeaders = ({ limit, remaining, windowSeconds, source }: PullStanding): ReplyHeaders => ({
  "ratelimit-limit": `${limit};w=${windowSeconds}`,
  "ratelimit-remaining": `${remaining};w=${windowSeconds}`,
  "docker-ratelimit-source": source,
});

const units = [
  { word: "day", seconds: 86_400 },
  { word: "hour", seconds: 3600 },
  { word: "minute", seconds: 60 },
] as const;

/** A time for people: in the largest unit that it is whole in. */
export function spell(seconds: number): string {
  const unit = units.find((one) => seconds % one.seconds === 0) ?? { word: "second", seconds: 1 };
  const count = seconds / unit.seconds;
  return count === 1 ? `1 ${unit.word}` : `${count} ${unit.word}s`;
}
