import { mkdir, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { approveDevice, beginDeviceLogin } from "../support/device-login.ts";
import type { Fixture } from "./fixture.ts";

/** What a client needs to find `docker-credential-berth`, on a machine that somebody has let in with a browser. */
export async function signInMachine({ server, folder }: Fixture): Promise<Readonly<Record<string, string>>> {
  const [config, programs] = [join(folder, "berth-config"), join(folder, "programs")];
  await mkdir(programs);
  await symlink(resolve(import.meta.dir, "../../bin/berth"), join(programs, "docker-credential-berth"));
  const login = await beginDeviceLogin(server, { config, args: ["--images-only"] });
  await approveDevice(server, login);
  const { code, error } = await login.ended;
  if (code !== 0) throw new Error(error);
  return { XDG_CONFIG_HOME: config, PATH: `${programs}:${process.env["PATH"] ?? ""}` };
}
