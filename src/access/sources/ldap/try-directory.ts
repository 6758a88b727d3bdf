import type { LdapSettings } from "../../../platform/config/sources-schema.ts";
import { DirectoryError } from "../../../platform/net/directory/directory-error.ts";
import type { SourceStep } from "../source.ts";
import { findPerson, withGroups } from "./find-people.ts";
import { bindToLook, type OpenDirectory } from "./open-directory.ts";

const mostShown = 50;

/** What a sign-in does, step by step, for whoever sets the directory up; no password of anyone's is needed. */
export async function* tryDirectory(
  settings: LdapSettings,
  open: OpenDirectory,
  name: string | undefined,
): AsyncGenerator<SourceStep> {
  let step = "connect";
  try {
    const session = await open();
    try {
      yield { step, ok: true, detail: `${settings.urls.join(" or ")}, encrypted` };
      step = "bind";
      await bindToLook(session, settings);
      yield { step, ok: true, detail: settings.bindDn ?? "as nobody in particular" };
      if (name === undefined) return;
      step = "find";
      const found = await findPerson(session, settings, name);
      if (found.kind === "one") {
        const { member, identity } = found.person;
        yield { step, ok: true, detail: `${member.dn}, ${settings.user.idAttribute} ${identity.subject}` };
        if (settings.groups === undefined) return;
        step = "groups";
        const { groups } = await withGroups(session, settings, found.person);
        yield { step, ok: true, detail: groups.length === 0 ? "none" : groups.slice(0, mostShown).join("; ") };
      } else {
        const none = `nobody in ${settings.user.baseDn} has ${settings.user.nameAttribute}=${name} and matches user.filter`;
        yield { step, ok: false, detail: found.kind === "none" ? none : found.why };
      }
    } finally {
      session.close();
    }
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error;
    yield { step: error.step === "tls" || error.step === "name" ? error.step : step, ok: false, detail: error.message };
  }
}
