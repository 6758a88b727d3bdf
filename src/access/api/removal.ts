import { z } from "zod";

/** What a destructive route answers, and its dry run. What stands against it is a problem, of both. */
export const removal = z.object({
  dryRun: z.boolean().describe("whether it was only looked at"),
  removes: z.array(
    z.object({
      kind: z.string(),
      name: z.string().optional(),
      count: z.int().min(0),
    }),
  ),
});

export type Removed = z.infer<typeof removal>["removes"][number];

export const one = (kind: string, name: string): Removed => ({ kind, name, count: 1 });

/** Those of which there are none are left out. */
export const some = (kind: string, count: number): readonly Removed[] => (count === 0 ? [] : [{ kind, count }]);
