import { z } from "zod";

const pulls = z.number().int().min(1).max(1_000_000_000);
const plan = z.strictObject({
  name: z.string().min(1).max(64),
  /** Absent: as many as they like. */
  pulls: pulls.optional(),
  /** Of accounts and robots, as they sign in. */
  members: z.array(z.string().min(1).max(255)).max(10_000),
});

function nobodyTwice(plans: readonly z.infer<typeof plan>[]): boolean {
  const members = plans.flatMap((one) => one.members);
  return new Set(members).size === members.length;
}

/** How often one may pull; what is not said has no limit. */
export const pullLimitsSchema = z
  .strictObject({
    /** Of all who have not signed in, from one network. */
    anonymous: pulls.optional(),
    account: pulls.optional(),
    robot: pulls.optional(),
    windowSeconds: z.number().int().min(1).max(2_592_000).default(21_600),
    /** How much of an address is the network that it counts for. */
    ipv4Bits: z.number().int().min(8).max(32).default(32),
    ipv6Bits: z.number().int().min(16).max(128).default(64),
    /** Other limits for some accounts and robots. */
    plans: z.array(plan).max(100).refine(nobodyTwice, "must name nobody in two plans").optional(),
  })
  .prefault({});
