import { userInfo } from "node:os";
import type { Envelope } from "../platform/events/access-event.ts";

/** Whoever runs a command on the data folder, for the events of what it changes. */
export const operator = (): Envelope => ({ actor: { kind: "operator", id: "", name: systemUser() } });

/** A container may run under a number that no user has. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
