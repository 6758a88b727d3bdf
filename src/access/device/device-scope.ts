import { parseTokenScopes } from "../tokens/token-scopes.ts";
import type { TokenScope } from "../principal.ts";

/** What a device asks to be let do: with images alone, or all that its owner may. */
export const deviceScopes = ["images", "everything"] as const;
export type DeviceScope = (typeof deviceScopes)[number];

export const parseDeviceScope = (text: string): DeviceScope | undefined => deviceScopes.find((one) => one === text);

const texts: Readonly<Record<DeviceScope, readonly string[] | undefined>> = {
  images: ["**:read,create,update,delete"],
  everything: undefined,
};

export function tokenScopesOf(scope: DeviceScope): readonly TokenScope[] | undefined {
  const wanted = texts[scope];
  return wanted && parseTokenScopes(wanted);
}
