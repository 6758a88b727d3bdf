import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { flags, frame, frameTypes, openRaw, put } from "./raw-client.ts";

let folder = "";
let server: TestServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-refused-"));
  const until = new Date(Date.now() + 24 * 3_600_000);
  const { certPem, keyPem } = selfSignedCertificate({ hosts: ["localhost"], from: new Date(), until });
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await Promise.all([writeFile(certFile, certPem), writeFile(keyFile, keyPem)]);
  server = await startServer({ env: { BERTH_TLS_CERT_FILE: certFile, BERTH_TLS_KEY_FILE: keyFile } });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

interface Heard {
  readonly type: number;
  readonly flags: number;
}

/** Of a stream that asks for what nobody but a signed-in person may do: what comes until a ping behind it is answered. */
async function push(body: string, send: "at once" | "late" | "never"): Promise<readonly Heard[]> {
  const socket = await openRaw(server.url);
  const { promise, resolve } = Promise.withResolvers<readonly Heard[]>();
  const heard: Heard[] = [];
  let received = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (let length = 0; received.length >= 9; received = received.subarray(length)) {
      length = 9 + received.readUIntBE(0, 3);
      if (received.length < length) return;
      const [type, given] = [received.readUInt8(3), received.readUInt8(4)];
      if (type === frameTypes.ping && (given & flags.ack) !== 0) resolve(heard);
      // Room for more of the body may be told at any time.
      if (received.readUInt32BE(5) !== 1 || type === frameTypes.windowUpdate) continue;
      heard.push({ type, flags: given });
      if ((given & flags.endStream) !== 0) socket.write(frame({ type: frameTypes.ping, payload: Buffer.alloc(8) }));
    }
  });
  socket.on("close", () => resolve(heard));
  const { endHeaders, endStream } = flags;
  const head = put("/v2/a/b/manifests/one", body.length);
  socket.write(frame({ type: frameTypes.headers, flags: endHeaders, stream: 1, payload: head }));
  const data = frame({ type: frameTypes.data, flags: endStream, stream: 1, payload: Buffer.from(body) });
  if (send === "late") await Bun.sleep(50);
  if (send !== "never") socket.write(data);
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

it.each(["at once", "late"] as const)(
  "an answer that does not read a small body, which comes %s, ends its stream and does not reset it",
  async (when) => {
    for (let times = 0; times < 10; times += 1) {
      const heard = await push("{}", when);
      expect(heard.map(({ type }) => type)).toEqual([frameTypes.headers, frameTypes.data]);
    }
  },
);

it("an answer does not wait for ever for a small body that never comes", async () => {
  const [first] = await push("{}", "never");
  expect(first?.type).toBe(frameTypes.headers);
});
