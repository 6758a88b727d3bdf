import { ensureThreads } from "./platform/runtime/ensure-threads.ts";

// It may start the process anew, so nothing that takes its time is loaded before.
ensureThreads();
const { runCommandLine } = await import("./cli/command-line.ts");
await runCommandLine();
