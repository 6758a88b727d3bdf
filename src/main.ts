import { ensureFileThreads } from "./platform/runtime/file-threads.ts";

// It may start the process anew, so nothing that takes its time is loaded before.
ensureFileThreads();
const { runCommandLine } = await import("./cli/command-line.ts");
await runCommandLine();
