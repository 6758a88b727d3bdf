import { connect } from "node:http2";
import type { Answered, Sent } from "./curl.ts";

/**
 * Sends one request over HTTP/2 and reads the answer also where it comes before the body has been taken, as Go's clients
 * do. The curl of Debian 12 drops such an answer.
 */
export async function earlyAnswer(url: string, { method = "GET", headers = {}, body = "" }: Sent): Promise<Answered> {
  const { origin, pathname, search } = new URL(url);
  const session = connect(origin, { rejectUnauthorized: false });
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  session.on("error", reject);
  const stream = session.request({
    ":method": method,
    ":path": `${pathname}${search}`,
    "user-agent": "comparison",
    accept: "*/*",
    ...headers,
  });
  let status = 0;
  let received = new Map<string, string>();
  const parts: Buffer[] = [];
  stream.on("response", (answered) => {
    status = Number(answered[":status"]);
    const named = Object.entries(answered).filter(([name]) => !name.startsWith(":"));
    received = new Map(named.map(([name, value]) => [name, String(value)]));
  });
  stream.on("data", (chunk: Buffer) => parts.push(chunk));
  // The end of the answer counts; that the rest of the body is not wanted is no error then.
  stream.on("end", () => resolve({ status, headers: received, body: Buffer.concat(parts) }));
  stream.on("error", reject);
  stream.on("close", () => reject(new Error("closed without an answer")));
  stream.end(body);
  try {
    return await promise;
  } finally {
    session.destroy();
  }
}
