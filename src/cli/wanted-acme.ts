import type { Config } from "../platform/config/schema.ts";
import type { Acme } from "./acme.ts";
import type { Entry } from "./listen.ts";
import type { Operation } from "./operation.ts";

/** `undefined` where no certificate is wanted of an authority; what it takes to have one is not even loaded then. @throws StartError */
export async function openWantedAcme(config: Config, operation: Operation, server: Entry): Promise<Acme | undefined> {
  if (config.tls.acme.hosts === undefined) return undefined;
  const { openAcme } = await import("./acme.ts");
  return openAcme(config, operation, server);
}
