import type { Setting } from "./own-settings.ts";

type Texts = Readonly<Record<string, string | undefined>>;

/** Sampler by sampler: what its argument says, or the ratio that it stands for. */
const samplers: Readonly<Record<string, number | "argument">> = {
  always_on: 1,
  always_off: 0,
  traceidratio: "argument",
  parentbased_always_on: 1,
  parentbased_always_off: 0,
  parentbased_traceidratio: "argument",
};

export interface TracingVariables {
  readonly settings: readonly Setting[];
  readonly problems: readonly string[];
}

export const noTracingVariables: TracingVariables = { settings: [], problems: [] };

/** The variables that every program with OpenTelemetry knows. They count where one of them names an endpoint. */
export function tracingVariables(environment: Texts): TracingVariables {
  const given = (name: string): string | undefined => environment[name]?.trim() || undefined;
  const either = (rest: string): string | undefined =>
    [`OTEL_EXPORTER_OTLP_TRACES_${rest}`, `OTEL_EXPORTER_OTLP_${rest}`].find((name) => given(name) !== undefined);
  const endpoint = either("ENDPOINT");
  const isOff = given("OTEL_SDK_DISABLED")?.toLowerCase() === "true" || given("OTEL_TRACES_EXPORTER") === "none";
  if (endpoint === undefined || isOff) return noTracingVariables;
  const protocol = either("PROTOCOL");
  if (protocol !== undefined && given(protocol) !== "http/protobuf")
    return { settings: [], problems: [`${protocol}: Berth sends traces as http/protobuf alone`] };
  const setting = (path: string, name: string | undefined, convert: (text: string) => unknown): readonly Setting[] => {
    const text = name === undefined ? undefined : given(name);
    if (name === undefined || text === undefined) return [];
    return [{ path: `tracing.${path}`, value: convert(text), origin: { kind: "environment", name } }];
  };
  return {
    settings: [
      ...setting("endpoint", endpoint, endpoint.includes("_TRACES_") ? same : withPath),
      ...setting("headers", either("HEADERS"), decoded),
      ...setting("timeoutSeconds", either("TIMEOUT"), millisecondsToSeconds),
      ...setting("caFile", either("CERTIFICATE"), same),
      ...setting("serviceName", "OTEL_SERVICE_NAME", same),
      ...setting("sampleRatio", "OTEL_TRACES_SAMPLER", (name) => ratioOf(name, given("OTEL_TRACES_SAMPLER_ARG"))),
    ],
    problems: [],
  };
}

const same = (text: string): string => text;
const withPath = (text: string): string => `${text.replace(/\/+$/, "")}/v1/traces`;
/** Their values are percent-encoded, as those of W3C Baggage. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
const millisecondsToSeconds = (text: string): unknown =>
  /^\d+$/.test(text) ? Math.max(1, Math.ceil(Number(text) / 1000)) : text;

/** What is no ratio is left for the schema to refuse. */
function ratioOf(sampler: string, argument: string | undefined): unknown {
  const ratio = Object.hasOwn(samplers, sampler) ? samplers[sampler] : undefined;
  if (ratio !== "argument") return ratio ?? sampler;
  return argument === undefined ? 1 : Number(argument);
}
