import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import {
  baseDn,
  missingSlapd,
  person,
  readerDn,
  readerPassword,
  type Slapd,
  startSlapd,
} from "../../../../test/directory/slapd.ts";
import { requirement } from "../../../../test/support/requirement.ts";
import { type DirectoryQuery, directorySession } from "./directory-session.ts";
import { openTlsChannel } from "./tls-channel.ts";

setDefaultTimeout(60_000);

/** Somebody in between, who says this when asked for TLS. @returns what they were told, and what became of it */
async function meet(answer: Uint8Array | "nothing" | "end"): Promise<{ readonly told: Buffer; readonly why: string }> {
  const told: Buffer[] = [];
  const server = createServer((socket: Socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      told.push(chunk);
      if (answer === "end") socket.destroy();
      else if (answer !== "nothing" && told.length === 1) socket.write(answer);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  const target = { host: "127.0.0.1", port, security: "starttls" } as const;
  const outcome = await openTlsChannel(target, { verifyCertificate: false, ca: undefined }, 1000).then(
    () => "open",
    (error: unknown) => String(error),
  );
  server.close();
  return { told: Buffer.concat(told), why: outcome };
}

/** ExtendedResponse to message 1. */
const response = (code: number): Buffer =>
  Buffer.from(["300c02010178070a01", code.toString(16).padStart(2, "0"), "04000400"].join(""), "hex");
const asked = "301d02010177188016312e332e362e312e342e312e313436362e3230303337";

test.each([
  ["who refuses", response(52), "StartTLS is refused with code 52"],
  ["who says nothing", "nothing", "no answer in time"],
  ["who hangs up", "end", "the connection ended at StartTLS"],
  // A bind's good answer, to be read as if it had come inside of TLS.
  [
    "who says more than was asked",
    Buffer.concat([response(0), Buffer.from("300c020102", "hex")]),
    "no answer to StartTLS",
  ],
  ["who answers another question", Buffer.from("300c02010278070a010004000400", "hex"), "no answer to StartTLS"],
  ["who answers with something else", Buffer.from("300c02010161070a010004000400", "hex"), "no answer to StartTLS"],
  ["who speaks no LDAP", Buffer.from("HTTP/1.1 200 OK\r\n\r\n".repeat(500)), "no answer to StartTLS"],
  ["who speaks no TLS", response(0), "Error"],
] as const)("tells nothing but the wish for TLS to somebody %s", async (_who, answer, why) => {
  const met = await meet(answer);
  expect(met.why).toStartWith("DirectoryError: ");
  expect(met.why).toContain(why === "Error" ? "DirectoryError" : why);
  const rest = met.told.toString("hex").replace(asked, "");
  // Where TLS begins, its first record is a handshake.
  expect(rest === "" || (why === "Error" && rest.startsWith("16"))).toBe(true);
});

requirement("a conversation with a directory", missingSlapd, () => {
  const many = 3000;
  let slapd: Slapd;
  beforeAll(async () => {
    slapd = await startSlapd({ entries: Array.from({ length: many }, (_, at) => person(`many${at}`, "any")).join("") });
  });
  afterAll(() => slapd[Symbol.asyncDispose]());

  const everyone: DirectoryQuery = {
    base: baseDn,
    scope: "sub",
    filter: { text: "(uid=many*)" },
    attributes: ["uid"],
    most: 10_000,
    paged: true,
  };
  const talk = async () => {
    const target = { host: "127.0.0.1", port: Number(new URL(slapd.ldapsUrl).port), security: "tls" } as const;
    const ca = await readFile(slapd.caFile, "utf8");
    const session = directorySession(await openTlsChannel(target, { verifyCertificate: true, ca }, 10_000), {
      operationMs: 10_000,
    });
    expect(await session.bind(readerDn, readerPassword)).toBe(true);
    return session;
  };

  test("gets all of 3000 entries from a server that gives out 500 at a time", async () => {
    const session = await talk();
    const found = await session.search(everyone);
    expect(new Set(found.flatMap((entry) => entry.texts("UID"))).size).toBe(many);
    expect(await session.search({ ...everyone, paged: false, most: 2 })).toHaveLength(2);
    session.close();
  });

  test("does not take more than it may", async () => {
    const session = await talk();
    await Promise.allSettled([session.search({ ...everyone, most: 1000 })]).then(([outcome]) =>
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { step: "search", message: "more than 1000 entries" },
      }),
    );
    session.close();
  });

  test("is on one connection: where that ends, it begins no other", async () => {
    const session = await talk();
    session.close();
    const [again] = await Promise.allSettled([session.search(everyone)]);
    expect(again).toMatchObject({ status: "rejected", reason: { name: "DirectoryError" } });
  });
});
