import { resolve } from "node:path";
import { buildExecutable } from "./build-executable.ts";

const root = resolve(import.meta.dir, "..");
const outfile = resolve(root, "dist/berth");
const started = performance.now();
await buildExecutable({ root, outfile });
const mebibytes = Bun.file(outfile).size / 2 ** 20;
const seconds = (performance.now() - started) / 1000;
console.log(`dist/berth: ${mebibytes.toFixed(0)} MiB in ${seconds.toFixed(1)} s`);
