// Of the package's parts those that are used: all of it would load HTTP, clusters and OpenTelemetry, 12 ms of a start.
declare module "prom-client/lib/counter.js" {
  import { Counter } from "prom-client";
  export = Counter;
}
declare module "prom-client/lib/gauge.js" {
  import { Gauge } from "prom-client";
  export = Gauge;
}
declare module "prom-client/lib/histogram.js" {
  import { Histogram } from "prom-client";
  export = Histogram;
}
declare module "prom-client/lib/registry.js" {
  import { Registry } from "prom-client";
  export = Registry;
}
declare module "prom-client/lib/cluster.js" {
  import { AggregatorRegistry } from "prom-client";
  export = AggregatorRegistry;
}
