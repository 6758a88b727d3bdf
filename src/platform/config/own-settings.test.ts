import { describe, expect, it } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspectConfig } from "./load-config.ts";

const inspect = (environment: Readonly<Record<string, string>>, file?: string) =>
  inspectConfig({ file, environment, flags: {} });

describe("BERTH_ variables", () => {
  it("of a cluster are no settings, and nobody's mistake", () => {
    const links = {
      BERTH_SERVICE_HOST: "10.0.0.7",
      BERTH_SERVICE_PORT: "5000",
      BERTH_SERVICE_PORT_HTTP: "5000",
      BERTH_PORT: "tcp://10.0.0.7:5000",
      BERTH_PORT_5000_TCP: "tcp://10.0.0.7:5000",
      BERTH_PORT_5000_TCP_PROTO: "tcp",
      BERTH_PORT_5000_TCP_PORT: "5000",
      BERTH_PORT_5000_TCP_ADDR: "10.0.0.7",
    };
    expect(inspect(links).problems).toEqual([]);
  });

  it("that only look like it are refused", () => {
    expect(inspect({ BERTH_PORT: "5000", BERTH_SERVICE: "x", BERTH_PORTS: "tcp://x" }).problems).toEqual([
      "BERTH_PORT: there is no such setting",
      "BERTH_SERVICE: there is no such setting",
      "BERTH_PORTS: there is no such setting",
    ]);
  });
});

describe("a configuration", () => {
  it("tells of its file, its variables and its values at once", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-config-"));
    try {
      const file = join(folder, "berth.yaml");
      await writeFile(file, "log: {level: loud}\nhttp: {adr: x}\n");
      const { config, problems } = inspect({ BERTH_DATTA: "/srv", BERTH_COLLECT_LEASE_SECONDS: "0" }, file);
      expect(config).toBeUndefined();
      expect(problems.map((problem) => problem.split(": ", 1)[0])).toEqual([
        "BERTH_DATTA",
        "http.adr",
        "collect.leaseSeconds",
        "log.level",
      ]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("of broken YAML is refused without its text, which may hold a secret", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-config-"));
    try {
      const file = join(folder, "berth.yaml");
      await writeFile(file, "secret: canary\nsecret: canary\n");
      const { problems } = inspect({ BERTH_DATTA: "/srv" }, file);
      expect(problems).toEqual([`${file}:2:1: Map keys must be unique`, "BERTH_DATTA: there is no such setting"]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("with something else in the place of a section is refused, whatever a variable says", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-config-"));
    try {
      const file = join(folder, "berth.yaml");
      await writeFile(file, "http: 5000\n");
      const { problems } = inspect({ BERTH_HTTP_ADDR: "127.0.0.1:1" }, file);
      expect(problems).toEqual(["http: Invalid input: expected object, received number"]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("is read anew each time", () => {
    expect(inspect({ BERTH_LOG_LEVEL: "debug" }).config?.log.level).toBe("debug");
    expect(inspect({}).config?.log.level).toBe("info");
  });
});
