import { randomBytes } from "node:crypto";
import { makeBody } from "../clients/body.ts";
import { connect } from "../clients/connection.ts";
import { putBlob, repository } from "../clients/fill.ts";
import { pusherOf } from "../clients/push.ts";
import { freeLargeFiles } from "../measure/folder.ts";
import type { Bench, Contestant, Row, Sample } from "../measure/row.ts";
import { berth } from "../servers/berth.ts";
import { distribution3, dockerRegistry } from "../servers/distribution.ts";
import type { Server, Started } from "../servers/server.ts";
import { zot } from "../servers/zot.ts";
import { paced } from "./pulls-beside-pushes.ts";

const mebibyte = 1 << 20;

type Prepare = (started: Started, bench: Bench) => Promise<() => Promise<Sample>>;

const everyone = (prepare: Prepare): readonly Contestant[] =>
  [berth, dockerRegistry, distribution3, zot].map((server: Server) => ({
    name: server.name,
    missing: server.missing(),
    prepare: async (bench) => prepare(await server.start({ bench }), bench),
  }));

export const idle: Row = {
  name: "memory-idle",
  title: "memory, idle",
  notes: "Some seconds after the start.",
  contestants: everyone(async (started, { quick }) => {
    await Bun.sleep(quick ? 2000 : 10_000);
    return async () => {
      await Bun.sleep(1000);
      return { megabytes: started.processes.residentMegabytes() };
    };
  }),
  targets: [{ figure: "megabytes", of: "berth", atMost: 80 }],
};

const piece = randomBytes(mebibyte);

/** Declares 1 GiB, sends a part of it at 4 MiB/s, and breaks off; then the upload is cancelled. */
async function breakOff(server: Started, sentBytes: number): Promise<void> {
  const pusher = await pusherOf(server);
  const location = await pusher.open(repository);
  const connection = await connect(server);
  const authorization = server.authorization === undefined ? [] : [`Authorization: ${server.authorization}`];
  const head = [`PATCH ${location} HTTP/1.1`, `Host: ${server.host}`, ...authorization];
  const body = ["Content-Type: application/octet-stream", `Content-Length: ${String(1024 * mebibyte)}`];
  await connection.send(Buffer.from([...head, ...body, "", ""].join("\r\n")));
  const pace = paced(4 * mebibyte);
  for (let sent = 0; sent < sentBytes; sent += piece.length) {
    await pace(sent);
    await connection.send(piece);
  }
  connection.close();
  // The server notices, and lets go of the upload.
  await Bun.sleep(500);
  await pusher.cancel(location);
  pusher.close();
}

export const uploads: Row = {
  name: "memory-uploads",
  title: "memory: 64 uploads declared at 1 GiB, paced to 4 MiB/s, cancelled after 64 MiB",
  contestants: everyone(async (started, { quick }) => async () => {
    started.processes.forgetPeak();
    const sentBytes = (quick ? 4 : 64) * mebibyte;
    await Promise.all(Array.from({ length: 64 }, () => breakOff(started, sentBytes)));
    const peakMegabytes = started.processes.peakMegabytes();
    await freeLargeFiles(started.data);
    return { peakMegabytes };
  }),
  targets: [{ figure: "peakMegabytes", of: "berth", atMost: 200 }],
};

export const downloads: Row = {
  name: "memory-downloads",
  title: "memory: 256 stalled downloads of 1 GiB",
  contestants: everyone(async (started, { quick }) => {
    const path = await putBlob(started, makeBody((quick ? 64 : 1024) * mebibyte).next());
    return async () => {
      started.processes.forgetPeak();
      const connections = await Promise.all(Array.from({ length: 256 }, () => connect(started)));
      for (const connection of connections) {
        connection.pause();
        await connection.send(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${started.host}\r\n\r\n`));
      }
      await Bun.sleep(quick ? 1000 : 5000);
      const peakMegabytes = started.processes.peakMegabytes();
      for (const connection of connections) connection.close();
      await Bun.sleep(1000);
      return { peakMegabytes };
    };
  }),
  targets: [{ figure: "peakMegabytes", of: "berth", atMost: 150 }],
};
