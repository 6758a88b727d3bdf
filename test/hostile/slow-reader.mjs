// Run by Node, which reads exactly as little as it is told: node slow-reader.mjs <plain|tls|h2> <url> <from> <bytes a second>
// Says how many bytes it has read, every second; ends when its connection does.
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

const [, , kind, address, localAddress, rate] = process.argv;
const url = new URL(address);
const bytesPerSecond = Number(rate);
const to = { host: url.hostname, port: Number(url.port), localAddress };
const insecure = { rejectUnauthorized: false };
const request = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`;
let read = 0;

const tell = setInterval(() => process.stdout.write(`${read}\n`), 1000);
let close = () => undefined;
const end = () => {
  clearInterval(tell);
  close();
};
const goOn = (stream, length) => {
  if (bytesPerSecond > 0) setTimeout(() => stream.resume(), (1000 * length) / bytesPerSecond);
};
/** After each piece, the time that it may take; at a rate of 0, no second one. */
const pace = (stream) => (piece) => {
  read += piece.length;
  stream.pause();
  goOn(stream, piece.length);
};

function readPlain() {
  const onread = {
    buffer: Buffer.alloc(1024),
    callback(length) {
      read += length;
      goOn(socket, length);
      return false;
    },
  };
  const socket = connect({ ...to, onread }, () => socket.write(request));
  return socket;
}

function readTls() {
  const socket = connectTls({ ...to, ...insecure }, () => socket.write(request));
  return socket.on("data", pace(socket));
}

function readHttp2() {
  const session = connectHttp2(url.origin, {
    ...insecure,
    createConnection: () => connectTls({ ...to, ...insecure, ALPNProtocols: ["h2"] }),
  });
  const stream = session.request({ ":path": url.pathname });
  stream.on("data", pace(stream)).on("error", end);
  return session;
}

const readers = { plain: readPlain, tls: readTls, h2: readHttp2 };
const reader = readers[kind]().on("error", end).on("close", end);
close = () => reader.destroy();
