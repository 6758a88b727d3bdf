import { openFiles, processListeningOn, residentBytes } from "../../test/protocol/server-process.ts";
import { startServer, type TestServer } from "../../test/support/server.ts";
import { type Growth, growsBy, growthOf, type Sample } from "./growth.ts";
import { mixedLoad } from "./mixed-load.ts";

/** Caches fill and the heap finds its size; what grows after that is a leak. */
const warmUpMinutes = 5;
const sampleMs = 1000;
/** The least of so many samples counts: what is between two collections of garbage is no growth. */
const samplesInOne = 10;
const mostMegabytesPerHour = 1;
const mostMoreFiles = 8;

/** So that what is deleted and what is given up goes while it runs. */
const env = { BERTH_COLLECT_LEASE_SECONDS: "120", BERTH_UPLOADS_IDLE_SECONDS: "60" };

/** Pulls, pushes, deletes and broken-off requests for so long. @returns whether nothing grew and every byte was right */
export async function soakMixed(minutes: number): Promise<boolean> {
  await using server = await startServer({ env });
  const load = mixedLoad(server);
  const started = performance.now();
  const until = started + minutes * 60_000;
  const running = load.run(() => performance.now() > until);
  const watched = await watch(server, { started, until }, (line) => console.log(`${line}; ${told(load.done)}`));
  await running;
  const { growth, warmFiles, lastFiles, errors } = watched;
  for (const problem of load.problems.slice(0, 20)) console.log(`WRONG  ${problem}`);
  const rate = `${signed(growth.perHour)} ± ${(2 * growth.error).toFixed(1)} MB/h`;
  console.log(
    `${minutes} min: ${told(load.done)}; memory ${rate} after the warm-up, ${warmFiles} open files then and ` +
      `${lastFiles} at the end, ${load.problems.length} wrong answers, ${errors} errors in the log`,
  );
  const hasGrown = growsBy(growth, mostMegabytesPerHour) || lastFiles - warmFiles > mostMoreFiles;
  return !hasGrown && load.problems.length === 0 && errors === 0;
}

const told = (done: ReadonlyMap<string, number>): string =>
  [...done].map(([what, count]) => `${count} ${what}`).join(", ");

const signed = (value: number): string => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(1)}`;

interface Span {
  readonly started: number;
  readonly until: number;
}

interface Watched {
  /** Of the resident memory, in megabytes. */
  readonly growth: Growth;
  /** The least of a minute, after the warm-up and at the end. */
  readonly warmFiles: number;
  readonly lastFiles: number;
  readonly errors: number;
}

/** Looks at the server's memory and descriptors until the end, and tells where it stands once a minute. */
async function watch(server: TestServer, { started, until }: Span, tell: (line: string) => void): Promise<Watched> {
  const pid = await processListeningOn(server.host);
  const warmUpMs = Math.min(warmUpMinutes * 60_000, (until - started) / 3);
  const samples: Sample[] = [];
  const files: number[] = [];
  let errors = 0;
  while (performance.now() < until) {
    const [bytes, open]: [number[], number[]] = [[], []];
    for (let at = 0; at < samplesInOne; at++) {
      await Bun.sleep(sampleMs);
      bytes.push(await residentBytes(pid));
      open.push(await openFiles(pid));
    }
    const passedMs = performance.now() - started;
    const sample = { hours: passedMs / 3_600_000, value: Math.min(...bytes) / 1e6 };
    if (passedMs > warmUpMs) {
      samples.push(sample);
      files.push(Math.min(...open));
    }
    for (const bug of server.log().filter(({ level }) => level === "error")) {
      errors += 1;
      console.log(`LOGGED  ${JSON.stringify(bug)}`);
    }
    server.forgetLog();
    const passed = Math.floor(passedMs / 60_000);
    if (passed > Math.floor((passedMs - sampleMs * samplesInOne) / 60_000))
      tell(`${passed} min: ${sample.value.toFixed(1)} MB, ${Math.min(...open)} open files`);
  }
  const oneMinute = 60_000 / (sampleMs * samplesInOne);
  return {
    growth: growthOf(samples),
    warmFiles: Math.min(...files.slice(0, oneMinute)),
    lastFiles: Math.min(...files.slice(-oneMinute)),
    errors,
  };
}
