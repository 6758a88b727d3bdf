import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unusedPort } from "../support/unused-port.ts";

const program = "/usr/sbin/rsyslogd";

/** Why there is no collector to test with. */
export const missingRsyslog = existsSync(program) ? undefined : "rsyslog is not installed";

/** rsyslogd in a process and a folder of its own, which writes each message it gets on a line. */
export interface Rsyslog extends AsyncDisposable {
  readonly port: number;
  messages(): Promise<readonly string[]>;
  start(): void;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

export async function openRsyslog(): Promise<Rsyslog> {
  const folder = await mkdtemp(join(tmpdir(), "berth-rsyslog-"));
  const port = await unusedPort();
  const at = (name: string): string => join(folder, name);
  const lines = [
    `global(workDirectory="${folder}" maxMessageSize="64k")`,
    'module(load="imtcp")',
    'module(load="imudp")',
    `input(type="imtcp" address="127.0.0.1" port="${port}")`,
    `input(type="imudp" address="127.0.0.1" port="${port}")`,
    'template(name="whole" type="string" string="%syslogfacility% %syslogseverity% %msgid% %msg%\\n")',
    `action(type="omfile" file="${at("messages")}" template="whole" asyncWriting="off")`,
  ];
  await writeFile(at("rsyslog.conf"), `${lines.join("\n")}\n`);
  let child: Bun.Subprocess | undefined;
  const kill = async (): Promise<void> => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  return {
    port,
    async messages() {
      const text = await readFile(at("messages"), "utf8").catch(() => "");
      return text.split("\n").filter((line) => line !== "");
    },
    start() {
      const command = [program, "-n", "-f", at("rsyslog.conf"), "-i", at("pid")];
      child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    },
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
