// Pushes 32 MiB with Node's own client, and says what it was answered: push.mjs <method> <url> <known|unknown> <authorization>
const [, , method, url, length, authorization] = process.argv;
const size = 32 << 20;

async function* zeros() {
  const piece = new Uint8Array(65_536);
  for (let sent = 0; sent < size; sent += piece.length) yield piece;
}

const body = length === "known" ? new Uint8Array(size) : ReadableStream.from(zeros());
const headers = authorization === "" ? {} : { authorization };
try {
  const answer = await fetch(url, { method, headers, body, duplex: "half" });
  process.stdout.write(`${answer.status} ${await answer.text()}\n`);
} catch (error) {
  process.stdout.write(`no answer: ${error.message}: ${error.cause?.message}\n`);
}
