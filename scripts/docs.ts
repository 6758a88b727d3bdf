import { resolve } from "node:path";
import { checkDocs, describeDocs } from "./proof/check-docs.ts";
import { everythingIsRequired } from "../test/support/requirement.ts";

const docs = await checkDocs(resolve(import.meta.dir, ".."));
const missing = docs.blocks.filter(({ outcome }) => outcome === "missing");
for (const line of describeDocs(docs)) console.log(line);
for (const { block, detail } of missing) console.log(`not run: ${block.file}:${String(block.line)}: ${detail}`);
for (const problem of docs.problems) console.log(problem);
process.exitCode = docs.problems.length > 0 || (everythingIsRequired && missing.length > 0) ? 1 : 0;
