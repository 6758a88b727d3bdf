// Runs a command of the checkout with Node and npm alone: installs what package-lock.json asks for, once, then
// hands over. `bun` and everything else comes from node_modules.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const modules = join(root, "node_modules");
const bin = join(modules, ".bin");
const stamp = join(modules, ".berth-installed");
const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  if (error || status !== 0) {
    console.error(`berth: "${command} ${args.join(" ")}" failed${error ? `: ${error.message}` : ""}`);
    process.exit(1);
  }
}

// A linked node_modules is another checkout's, and npm ci would empty it.
const borrowed = lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() === true;
if (!borrowed && (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted)) {
  console.error("berth: installing dependencies (once) ...");
  run("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"]);
  // npm may be told not to run install scripts; Bun's only links its binary into place.
  if (spawnSync(join(bin, "bun"), ["--version"]).status !== 0)
    run(process.execPath, [join(modules, "bun", "install.js")]);
  writeFileSync(stamp, wanted);
}

const [command, ...args] = process.argv.slice(2);
const child = spawn(command, args, {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`berth: cannot run ${command}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
