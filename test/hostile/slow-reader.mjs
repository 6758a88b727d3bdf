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

const end = () => process.exit(0);
const tell = () => console.log(read);
/** After each piece, the time that it may take. */
const pace = (stream) => (piece) => {
  read += piece.length;
  stream.pause();
  setTimeout(() => stream.resume(), (1000 * piece.length) / bytesPerSecond);
};

function readPlain() {
  const onread = {
    buffer: Buffer.alloc(1024),
    callback(length) {
      read += length;
      setTimeout(() => socket.resume(), (1000 * length) / bytesPerSecond);
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
readers[kind]().on("error", end).on("close", end);
setInterval(tell, 1000);
