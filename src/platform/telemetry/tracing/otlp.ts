import type { Span, SpanAttributes } from "./span.ts";

export interface Resource {
  readonly attributes: SpanAttributes;
  /** Name and version of what makes the spans. */
  readonly scope: { readonly name: string; readonly version: string };
}

/**
 * An `ExportTraceServiceRequest` of OTLP 1 in protobuf, the one form that every receiver takes. Numbers of fields are those
 * of opentelemetry/proto/trace/v1/trace.proto.
 */
export function encodeSpans(spans: readonly Span[], { attributes, scope }: Resource): Uint8Array {
  const resource = message(1, ...keyValues(1, attributes));
  const instrumentation = message(1, text(1, scope.name), text(2, scope.version));
  const scopeSpans = message(2, instrumentation, ...spans.map(span));
  return Buffer.concat([message(1, resource, scopeSpans)]);
}

const kinds = { internal: 1, server: 2, client: 3 } as const;
const statusError = 2;

const span = (one: Span): Buffer =>
  message(
    2,
    bytes(1, Buffer.from(one.traceId, "hex")),
    bytes(2, Buffer.from(one.spanId, "hex")),
    ...(one.parentSpanId === undefined ? [] : [bytes(4, Buffer.from(one.parentSpanId, "hex"))]),
    text(5, one.name),
    integer(6, kinds[one.kind]),
    fixed64(7, nanoseconds(one.startMs)),
    fixed64(8, nanoseconds(one.endMs)),
    ...keyValues(9, one.attributes),
    ...(one.isError ? [message(15, integer(3, statusError))] : []),
  );

const nanoseconds = (ms: number): bigint => BigInt(Math.round(ms * 1000)) * 1000n;

const keyValues = (field: number, attributes: SpanAttributes): readonly Buffer[] =>
  Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [message(field, text(1, key), message(2, anyValue(value)))],
  );

function anyValue(value: string | number | boolean): Buffer {
  if (typeof value === "string") return text(1, value);
  if (typeof value === "boolean") return integer(2, value ? 1 : 0);
  return Number.isSafeInteger(value) && value >= 0 ? integer(3, value) : double(4, value);
}

const [varintType, fixed64Type, bytesType] = [0, 1, 2];

const tag = (field: number, type: number): Buffer => varint(field * 8 + type);
const message = (field: number, ...parts: readonly Buffer[]): Buffer => bytes(field, Buffer.concat(parts));
const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value.toWellFormed()));
const integer = (field: number, value: number): Buffer => Buffer.concat([tag(field, varintType), varint(value)]);

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([tag(field, bytesType), varint(value.length), value]);
}

function fixed64(field: number, value: bigint): Buffer {
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64LE(value);
  return Buffer.concat([tag(field, fixed64Type), eight]);
}

function double(field: number, value: number): Buffer {
  const eight = Buffer.alloc(8);
  eight.writeDoubleLE(value);
  return Buffer.concat([tag(field, fixed64Type), eight]);
}

function varint(value: number): Buffer {
  const septets: number[] = [];
  let rest = value;
  while (rest >= 128) {
    septets.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...septets, rest]);
}
