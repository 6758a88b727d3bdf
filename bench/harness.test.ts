import { Database } from "bun:sqlite";
import { describe, expect, it } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requirement } from "../test/support/requirement.ts";
import { digestOf, makeBody } from "./clients/body.ts";
import { freeLargeFiles, lackOfRoom, makeFolder } from "./measure/folder.ts";
import { judgeRow, type Samples } from "./measure/judge.ts";
import { areShared, type LockHold, missingForLockWaits, watchLocks } from "./measure/lock-waits.ts";
import { describeAll, describeRow } from "./measure/report.ts";
import type { Contestant, Row, Sample } from "./measure/row.ts";
import { runRow, type RowResult } from "./measure/run-row.ts";
import { describeBestAndWorst, describeCapacity, putBetweenMarks } from "./measure/summary.ts";
import { quantile, spreadOf } from "./measure/statistics.ts";
import { parseWrk } from "./measure/wrk.ts";
import { parseZb } from "./zb.ts";

const row = (fields: Partial<Row>): Row => ({ name: "row", title: "a row", contestants: [], targets: [], ...fields });

describe("statistics", () => {
  it("tells the middle and the ends, whatever the order", () => {
    expect(spreadOf([30, 1, 2])).toEqual({ median: 2, least: 1, most: 30 });
    expect(spreadOf([4, 1, 2, 30])).toEqual({ median: 3, least: 1, most: 30 });
    expect(() => spreadOf([])).toThrow();
  });
  it("finds a quantile by nearest rank", () => {
    const values = Array.from({ length: 200 }, (_, index) => index + 1);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile([7], 0.99)]).toEqual([100, 198, 7]);
    expect(() => quantile([], 0.5)).toThrow();
  });
});

const wrkOutput = (more = ""): string => `Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   500.32us  210.11us   9.02ms   95.12%
    Req/Sec    64.09k     2.22k   67.21k    70.00%
  Latency Distribution
     50%  470.00us
     75%  540.00us
     90%    1.65ms
     99%    1.20s 
  63800 requests in 1.10s, 165.00MB read
${more}Requests/sec:  58000.00
Transfer/sec:    150.00MB
`;

describe("what wrk says", () => {
  it("is read in any of its units", () => {
    expect(parseWrk(wrkOutput())).toEqual({
      requests: 63_800,
      seconds: 1.1,
      p50Ms: expect.closeTo(0.47) as number,
      p99Ms: 1200,
    });
  });
  it.each([
    "  Non-2xx or 3xx responses: 12\n",
    "  Socket errors: connect 0, read 3, write 0, timeout 2\n",
    "  Socket errors: connect 4, read 0, write 0, timeout 0\n",
    "  Socket errors: connect 0, read 3, write 0, timeout 0\n  Non-2xx or 3xx responses: 1\n",
  ])("counts for nothing where answers failed: %p", (failures) => {
    expect(() => parseWrk(wrkOutput(failures))).toThrow("wrk: ");
  });
  it("may have been cut off in an answer at its end", () => {
    expect(parseWrk(wrkOutput("  Socket errors: connect 0, read 3, write 0, timeout 0\n")).requests).toBe(63_800);
  });
  it("is refused where it is something else", () => {
    expect(() => parseWrk("unable to connect to 127.0.0.1:1 Connection refused")).toThrow("something else");
  });
});

const zbTest = (name: string, failed: number): string =>
  `Test name:            ${name}\nTime taken for tests: 1.2s\nRequests per second:  6.5\nComplete requests:    10\nFailed requests:      ${failed}\n\n2xx responses: 10\n`;

/** A process that waits for SQLite's lock, says so once it has it, and keeps it for a while. */
const lockHolder = (path: string, holdMs: number): string => `
  const { Database } = await import("bun:sqlite");
  const database = new Database(${JSON.stringify(path)});
  database.run("pragma busy_timeout = 0");
  for (;;) {
    try {
      database.run("begin immediate");
      break;
    } catch {
      console.log("refused");
      await Bun.sleep(1);
    }
  }
  console.log("locked");
  await Bun.sleep(${String(holdMs)});
  database.run("insert into notes values (1)");
  database.run("commit");
`;

requirement("waits for the database", missingForLockWaits(), () => {
  it("last from the first refusal to the lock, of each process, and its hold to its end", () =>
    inFolder(async (folder) => {
      const path = join(folder, "database");
      using database = new Database(path);
      for (const statement of ["pragma journal_mode = wal", "create table notes (note)"]) database.run(statement);
      const { under, take } = watchLocks(folder);
      const hold = (holdMs: number) =>
        Bun.spawn([...under, process.execPath, "-e", lockHolder(path, holdMs)], { stdout: "pipe" });
      const first = hold(300);
      const output = first.stdout.getReader();
      expect(new TextDecoder().decode((await output.read()).value)).toBe("locked\n");
      const second = hold(0);
      expect(await new Response(second.stdout).text()).toStartWith("refused\n");
      expect([await first.exited, await second.exited]).toEqual([0, 0]);
      // As it ends, each takes the lock once more, to empty the log.
      const byProcess = Map.groupBy(take(), ({ process: pid }) => pid);
      expect([...byProcess.keys()]).toEqual([first.pid, second.pid]);
      const [[long], [short]] = [byProcess.get(first.pid) ?? [], byProcess.get(second.pid) ?? []];
      expect(long?.waitedMs).toBe(0);
      expect(long?.heldMs).toBeGreaterThan(290);
      expect(short?.waitedMs).toBeGreaterThan(1);
      expect(short?.waitedMs).toBeLessThan(long?.heldMs ?? 0);
      expect(take()).toEqual([]);
    }));
});

const heldBy = (...processes: readonly number[]): readonly LockHold[] =>
  processes.map((pid) => ({ process: pid, waitedMs: 0, heldMs: 0 }));

describe("a lock", () => {
  it("is shared where no process had next to none of it", () => {
    const seldom = heldBy(...Array.from({ length: 20 }, () => 1), 2);
    expect([heldBy(), heldBy(1, 1), heldBy(1, 2), seldom].map(areShared)).toEqual([false, false, true, false]);
  });
});

describe("zb", () => {
  it("is read test by test", () => {
    expect(
      parseZb(`Registry URL: x\n${zbTest("Get Catalog", 0)}WARNING\n${zbTest("Pull 75% and Push 25% Mixed 1MB", 2)}`),
    ).toEqual([
      { name: "Get Catalog", perSecond: 6.5, failed: 0 },
      { name: "Pull 75% and Push 25% Mixed 1MB", perSecond: 6.5, failed: 2 },
    ]);
  });
});

const resultOf = (index: number, ours: number): RowResult => ({
  row: row({
    title: `row ${index}`,
    targets: [{ figure: index % 2 === 0 ? "perSecond" : "megabytes", of: "berth" }],
  }),
  samples: new Map([
    ["berth", [{ perSecond: ours, megabytes: ours }]],
    ["docker-registry", [{ perSecond: 10, megabytes: 10 }]],
  ]),
  verdicts: [],
  missing: [],
  failures: [],
});

const berthOnly = (title: string, sample: Sample): RowResult => ({
  ...resultOf(0, 0),
  row: row({ title }),
  samples: new Map([["berth", [sample]]]),
});

describe("the short table", () => {
  it("has the best and the worst, whether more or less is better", () => {
    const results = [1, 2, 4, 5, 8, 10, 20, 40, 80, 100].map((ours, index) => resultOf(index, ours));
    const titles = describeBestAndWorst(results)
      .slice(2)
      .map((line) => /row \d/.exec(line)?.[0]);
    expect(titles).toEqual(["row 8", "row 1", "row 3", "row 6", "row 5", "row 7", "row 0", "row 9"]);
  });
  it("tells what one processor carries, to two digits", () => {
    expect(
      describeCapacity([
        berthOnly("gets", { cpuMicroseconds: 43.21, peakMegabytes: 114.6 }),
        berthOnly("pushes", { cpuSecondsPerGigabyte: 2.467 }),
        berthOnly("idle", { megabytes: 79 }),
        berthOnly("starts", { ms: 1 }),
      ]).slice(2),
    ).toEqual([
      "| gets | 43 us each | 23,000 a second | 110 MB |",
      "| pushes | 2.5 s for each GB | 410 MB/s |  |",
      "| idle |  |  | 79 MB |",
    ]);
  });
  it("goes between the marks of a page, again and again", () => {
    const page = "a\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nb";
    const once = putBetweenMarks(page, ["new"]);
    expect(once).toBe("a\n\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\n\nb");
    expect(putBetweenMarks(once, ["new"])).toBe(once);
    expect(() => putBetweenMarks("a page", ["new"])).toThrow("no place");
  });
});

const fixed = (name: string, sample: Sample, missing?: string): Contestant => ({
  name,
  missing,
  prepare: async () => async () => sample,
});

describe("the judge", () => {
  const samples: Samples = new Map([
    ["berth", [{ perSecond: 90 }, { perSecond: 100 }, { perSecond: 1000 }]],
    ["nginx", [{ perSecond: 200 }]],
  ]);
  const outcomesOf = (...targets: Row["targets"]): readonly string[] =>
    judgeRow(row({ targets }), samples).map(({ outcome }) => outcome);

  it("sees what misses its target, above and below, alone and as a multiple", () => {
    const times = { figure: "perSecond", of: "berth", times: "nginx" } as const;
    expect(outcomesOf({ ...times, atLeast: 0.5 }, { ...times, atLeast: 0.51 })).toEqual(["met", "not met"]);
    expect(outcomesOf({ ...times, atMost: 0.5 }, { ...times, atMost: 0.49 })).toEqual(["met", "not met"]);
    const alone = { figure: "perSecond", of: "berth" } as const;
    expect(outcomesOf({ ...alone, atMost: 100 }, { ...alone, atMost: 99 })).toEqual(["met", "not met"]);
  });
  it("does not take for met what was not measured", () => {
    expect(
      outcomesOf(
        { figure: "perSecond", of: "berth", times: "zot", atLeast: 0 },
        { figure: "p99Ms", of: "berth", atMost: 1 },
      ),
    ).toEqual(["not judged", "not judged"]);
  });
  it("tells the ratio that it found", () => {
    const [verdict] = judgeRow(
      row({ targets: [{ figure: "perSecond", of: "berth", times: "nginx", atLeast: 0.8 }] }),
      samples,
    );
    expect(verdict?.text).toBe("berth: 0.50 x nginx (/s), at least 0.8");
  });
});

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "berth-bench-test-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("the folder", () => {
  it("is refused where too little is free, by name", async () => {
    expect(await lackOfRoom(tmpdir(), 1)).toBeUndefined();
    expect(await lackOfRoom(tmpdir(), 1e18)).toStartWith(`${tmpdir()} has `);
  });
  it("goes with all that was made in it", async () => {
    const folder = await makeFolder(tmpdir());
    await writeFile(join(folder.make("data"), "blob"), "x");
    expect(existsSync(folder.path)).toBe(true);
    await folder[Symbol.asyncDispose]();
    expect(existsSync(folder.path)).toBe(false);
  });
  it("loses what large pushes left, and nothing else", () =>
    inFolder(async (folder) => {
      const large = Buffer.alloc(100);
      for (const name of ["data", "berth.sqlite", "berth.sqlite-wal", "server.log"])
        await writeFile(join(folder, name), large);
      await writeFile(join(folder, "small"), "x");
      await freeLargeFiles(folder, 100);
      expect((await readdir(folder)).toSorted()).toEqual(["berth.sqlite", "berth.sqlite-wal", "server.log", "small"]);
      expect((await stat(join(folder, "server.log"))).size).toBe(0);
    }));
});

describe("a body", () => {
  it("has another digest each time, of the bytes that are sent", () => {
    for (const body of [makeBody(100_000), makeBody(300_000, 70_000), makeBody(32 + 2 * 70_000, 70_000)]) {
      const [one, two] = [body.next(), body.next()];
      expect(one.digest).not.toBe(two.digest);
      expect(digestOf(Buffer.concat(one.whole))).toBe(one.digest);
      expect(Buffer.concat(one.whole)).toHaveLength(body.sizeBytes);
    }
  });
  it("goes in chunks of HTTP as well", () => {
    const push = makeBody(70_000).next();
    const framed = Buffer.concat(push.chunked);
    const sent: Buffer[] = [];
    for (let at = 0; at < framed.length;) {
      const lineEnd = framed.indexOf("\r\n", at);
      const length = Number.parseInt(framed.toString("latin1", at, lineEnd), 16);
      sent.push(framed.subarray(lineEnd + 2, lineEnd + 2 + length));
      at = lineEnd + 2 + length + 2;
    }
    expect(digestOf(Buffer.concat(sent))).toBe(push.digest);
    expect(framed.toString("latin1", framed.length - 5)).toBe("0\r\n\r\n");
  });
});

async function run(fields: Partial<Row>, quick = false): Promise<RowResult> {
  await using all = new AsyncDisposableStack();
  const folder = all.use(await makeFolder(tmpdir()));
  return await runRow(row(fields), { folder, quick, seconds: 1, rounds: 3, all });
}

const broken = (name: string, prepare: Contestant["prepare"]): Contestant => ({
  name,
  missing: undefined,
  prepare,
});

describe("a run of a row", () => {
  it("measures in turn, another first each round, and gives back what each took", async () => {
    const order: string[] = [];
    const noted = (name: string): Contestant => ({
      name,
      missing: undefined,
      async prepare({ used }) {
        used.defer(() => void order.push(`${name} ended`));
        return async () => {
          order.push(name);
          return { ms: 1 };
        };
      },
    });
    const { samples } = await run({ contestants: [noted("a"), noted("b")] });
    expect(order).toEqual(["a", "b", "b", "a", "a", "b", "b ended", "a ended"]);
    expect(samples.get("a")).toHaveLength(3);
  });
  it("asks only those whom a target names, where it is to be quick", async () => {
    const { samples } = await run(
      {
        contestants: [fixed("berth", { ms: 1 }), fixed("nginx", { ms: 2 }), fixed("zot", { ms: 3 })],
        targets: [{ figure: "ms", of: "berth", times: "nginx", atMost: 2 }],
      },
      true,
    );
    expect([...samples.keys()]).toEqual(["berth", "nginx"]);
  });
  it("names who does not take part, and judges the others", async () => {
    const result = await run({
      contestants: [fixed("berth", { ms: 1 }), fixed("zot", { ms: 2 }, "zot is not installed")],
      targets: [{ figure: "ms", of: "berth", atMost: 2 }],
    });
    const text = describeRow(result).join("\n");
    expect(text).toContain("- not measured: zot: zot is not installed");
    expect(text).toContain("- **met**: berth: 1.00 ms, at most 2");
  });
  it("goes on without who fails, at its start or later, and judges nothing of theirs", async () => {
    let rounds = 0;
    const result = await run({
      contestants: [
        broken("early", () => Promise.reject(new Error("it does\nnot start"))),
        fixed("berth", { ms: 1 }),
        broken("late", async () => async () => {
          if (rounds++ === 1) throw new Error("it broke");
          return { ms: 1 };
        }),
      ],
      targets: [
        { figure: "ms", of: "berth", atMost: 2 },
        { figure: "ms", of: "berth", times: "late", atMost: 2 },
      ],
    });
    expect(rounds).toBe(2);
    expect(result.samples.get("berth")).toHaveLength(3);
    expect(result.verdicts.map(({ outcome }) => outcome)).toEqual(["met", "not judged"]);
    const text = describeAll({ head: ["date: today"], results: [result] });
    expect(text).toContain("- **failed**: early: it does not start");
    expect(text).toContain("- **failed**: late: it broke");
    expect(text).toContain("| row | berth: 1.00 ms, at most 2 | met |");
  });
  it("is written with its median and its spread", async () => {
    const values = [3, 1, 2].values();
    const changing: Contestant = {
      name: "berth",
      missing: undefined,
      prepare: async () => async () => ({ perSecond: values.next().value ?? 0 }),
    };
    expect(describeRow(await run({ contestants: [changing] })).join("\n")).toContain("| berth | 2 (1..3) |");
  });
});
