import { resolve } from "node:path";
import { checkAll } from "./proof/check-steps.ts";
import { reasonNotRun } from "./proof/judge.ts";

const { failedSteps, tests } = await checkAll(resolve(import.meta.dir, ".."));
for (const one of tests.cases) {
  const reason = reasonNotRun(one);
  if (reason !== undefined) console.log(`not run: ${one.file}: ${one.name}`);
}
for (const what of tests.unsteady ?? []) console.log(`passed at the second try alone: ${what}`);
process.exitCode = failedSteps.length === 0 ? 0 : 1;
