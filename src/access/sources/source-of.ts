import type { SourceSettings } from "../../platform/config/sources-schema.ts";
import { ldapSource } from "./ldap/ldap-source.ts";
import { oidcSource } from "./oidc/oidc-source.ts";
import type { Source } from "./source.ts";

/** The source that some settings describe, wherever they are kept. */
export const sourceOf = (settings: SourceSettings): Source => {
  switch (settings.kind) {
    case "ldap":
      return ldapSource(settings);
    case "oidc":
      return oidcSource(settings);
    default:
      return settings satisfies never;
  }
};
