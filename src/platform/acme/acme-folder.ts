import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { JWK } from "jose";
import { z } from "zod";
import { replacePrivateFile } from "../storage/replace-private-file.ts";
import { syncFolder } from "../storage/sync-folder.ts";

const orderShape = z.object({ url: z.string(), keyPem: z.string(), hosts: z.array(z.string()) });
/** An order that is on its way: after a crash its certificate can still be fetched. */
export type KeptOrder = z.infer<typeof orderShape>;

const statusShape = z.object({
  failures: z.number(),
  /** Absent where the last attempt went well. */
  failedAtMs: z.number().optional(),
  reason: z.string().optional(),
  /** When the authority is asked next. */
  nextAttemptAtMs: z.number().optional(),
});
export type AcmeStatus = z.infer<typeof statusShape>;

/** What is kept of one authority, in a folder of its own: another authority has other accounts and certificates. */
export interface AcmeFolder {
  /** Key and chain in one file, so that they always belong to each other. */
  readonly certificateFile: string;
  writeCertificate(pem: string): Promise<void>;
  readAccountKey(): Promise<JWK | undefined>;
  writeAccountKey(jwk: JWK): Promise<void>;
  readOrder(): Promise<KeptOrder | undefined>;
  writeOrder(order: KeptOrder): Promise<void>;
  removeOrder(): Promise<void>;
  readStatus(): Promise<AcmeStatus | undefined>;
  writeStatus(status: AcmeStatus): Promise<void>;
}

const keyShape = z.object({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});

/** Nothing is made before the first write. */
export function acmeFolder(dataFolder: string, directoryUrl: string): AcmeFolder {
  const { host } = new URL(directoryUrl);
  const mark = createHash("sha256").update(directoryUrl).digest("hex").slice(0, 8);
  const folder = join(dataFolder, "acme", `${host.replaceAll(/[^a-z0-9.-]/g, "_")}-${mark}`);
  const at = (name: string): string => join(folder, name);
  const write = async (name: string, text: string): Promise<void> => {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined) for (const each of [folder, dirname(folder)]) await syncFolder(dirname(each));
    await replacePrivateFile(at(name), text);
  };
  const writeJson = (name: string, value: unknown): Promise<void> =>
    write(name, `${JSON.stringify(value, undefined, 2)}\n`);
  return {
    certificateFile: at("certificate.pem"),
    writeCertificate: (pem) => write("certificate.pem", pem),
    readAccountKey: () => readJson(at("account.json"), keyShape),
    writeAccountKey: (jwk) => writeJson("account.json", jwk),
    readOrder: () => readJson(at("order.json"), orderShape),
    writeOrder: (order) => writeJson("order.json", order),
    async removeOrder() {
      await rm(at("order.json"), { force: true });
    },
    readStatus: () => readJson(at("status.json"), statusShape),
    writeStatus: (status) => writeJson("status.json", status),
  };
}

/** What is missing or damaged is as if it had never been: all of it can be had again. A disk that fails is an error. */
async function readJson<T>(file: string, shape: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return shape.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
