import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "../clients/run.ts";

export interface DecodedSpan {
  /** In hexadecimal. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

export interface Decoded {
  readonly resource: Readonly<Record<string, string | number | boolean>>;
  readonly scope: string;
  readonly spans: readonly DecodedSpan[];
}

type Value = Readonly<Record<string, string | number | boolean>>;
interface Attribute {
  readonly key: string;
  readonly value: Value;
}
interface WrittenSpan extends Readonly<Record<"traceId" | "spanId" | "name" | "kind", string>> {
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Attribute[];
  readonly status?: { readonly code?: string };
}
interface Written {
  readonly resourceSpans: readonly [
    {
      readonly resource: { readonly attributes: readonly Attribute[] };
      readonly scopeSpans: readonly [
        { readonly scope: { readonly name: string }; readonly spans: readonly WrittenSpan[] },
      ];
    },
  ];
}

export const decoderMissing = Bun.which("go") === null ? "Go is not installed" : undefined;

/** Builds the decoder, which is OpenTelemetry's own; the Go client keeps what it has built. */
export async function buildDecoder(): Promise<string> {
  const program = join(tmpdir(), "berth-test-otlp-decoder", "decoder");
  const source = resolve(import.meta.dir, "decoder");
  await run(["go", "build", "-o", program, "."], {
    cwd: source,
    timeoutMs: 300_000,
    env: { GOFLAGS: "-mod=readonly" },
  });
  return program;
}

export async function decode(program: string, bytes: Uint8Array): Promise<Decoded> {
  const child = Bun.spawn([program], { stdin: bytes, stdout: "pipe", stderr: "pipe" });
  const [text, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(errors);
  const [{ resource, scopeSpans }] = (JSON.parse(text) as Written).resourceSpans;
  const [{ scope, spans }] = scopeSpans;
  return { resource: valuesOf(resource.attributes), scope: scope.name, spans: spans.map(toSpan) };
}

const hex = (base64 = ""): string => Buffer.from(base64, "base64").toString("hex");
const ms = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1000n) / 1000;

const toSpan = (span: WrittenSpan): DecodedSpan => ({
  traceId: hex(span.traceId),
  spanId: hex(span.spanId),
  parentSpanId: hex(span.parentSpanId),
  name: span.name,
  kind: span.kind,
  startMs: ms(span.startTimeUnixNano),
  endMs: ms(span.endTimeUnixNano),
  isError: span.status?.code === "STATUS_CODE_ERROR",
  attributes: valuesOf(span.attributes),
});

const valuesOf = (attributes: readonly Attribute[] = []): Readonly<Record<string, string | number | boolean>> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [[kind, held] = ["", ""]] = Object.entries(value);
      return [key, kind === "intValue" ? Number(held) : held];
    }),
  );
