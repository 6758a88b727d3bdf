import type * as Yaml from "yaml";

/** Only where there is some to read: it would be a megabyte of every server that needs none. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the package says of itself
export const loadYaml = (): typeof Yaml => require("yaml") as typeof Yaml;
