import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

/** A docker engine of our own, for documents that use docker on a machine where none runs. */
export interface DockerEngine extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** Of the engine's own containerd, for CONTAINERD_ADDRESS. */
  readonly containerd: string;
}

/** It keeps its hands off the machine's network and storage. */
export async function startDockerEngine(): Promise<DockerEngine> {
  const folder = await mkdtemp(join(tmpdir(), "berth-engine-"));
  const host = `unix://${folder}/docker.sock`;
  const places = [`--data-root=${folder}/data`, `--exec-root=${folder}/exec`, `--pidfile=${folder}/pid`];
  const isolation = ["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"];
  const child = spawn("dockerd", [...isolation, ...places, "--host", host], { stdio: "ignore" });
  const failure: unknown[] = [];
  child.on("error", (error) => failure.push(error));
  const dispose = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 60_000;
  while ((await run(["docker", "version"], { cwd: folder, env: { DOCKER_HOST: host } })).exitCode !== 0) {
    if (failure.length > 0 || child.exitCode !== null || Date.now() > deadline) {
      await dispose();
      throw new Error("dockerd did not start", { cause: failure[0] });
    }
    await Bun.sleep(200);
  }
  return { host, containerd: `${folder}/exec/containerd/containerd.sock`, [Symbol.asyncDispose]: dispose };
}

/** Whether there is all that it takes. */
export const canStartDockerEngine = (): boolean =>
  process.getuid?.() === 0 && ["docker", "dockerd", "containerd", "runc"].every((name) => Bun.which(name) !== null);
