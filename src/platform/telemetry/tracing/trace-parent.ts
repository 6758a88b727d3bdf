/** Whose part of a trace a request is. */
export interface TraceParent {
  /** 32 hexadecimal digits, as in the log. */
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const form =
  /^(?<version>[0-9a-f]{2})-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?<more>-.*)?$/;
const zeros = /^0+$/;
const sampledFlag = 1;

/** A `traceparent` header (W3C Trace Context, 3.2); `undefined` for one that is not by its rules to the letter. */
export function parseTraceParent(header: string | undefined): TraceParent | undefined {
  const { version, traceId = "", spanId = "", flags = "", more } = form.exec(header ?? "")?.groups ?? {};
  // Later versions may add to it; this one has nothing to add.
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (zeros.test(traceId) || zeros.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & sampledFlag) === sampledFlag };
}
