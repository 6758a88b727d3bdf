import { randomUUID } from "node:crypto";
import type { Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import type { AccessChange } from "../change-access.ts";
import { refuse } from "../refusal.ts";
import type { Named } from "../require-named.ts";
import { deleteTokensOf } from "../tokens/list-tokens.ts";
import { type NamedRobot, type Robot, requireRobot, robotPrefix } from "./find-robot.ts";

export interface NewRobot {
  /** Behind `robot$`, and behind the organization's name and a plus. */
  readonly name: string;
  /** Absent for one of the instance. */
  readonly organization?: Named;
  readonly description?: string;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
}

const robotName = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

/** Without any right, and without a secret: both are given to it by themselves. @throws RegistryError */
export async function createRobot({ tx, now }: AccessChange, wanted: NewRobot): Promise<NamedRobot> {
  const { organization, description = "", expiresAt } = wanted;
  if (!robotName.test(wanted.name)) {
    refuse("invalid", "a robot's name is in small letters and digits, with . _ or - between them");
  }
  requireDescription(description);
  requireFuture(expiresAt, now);
  const id = randomUUID();
  const name = `${robotPrefix}${organization === undefined ? "" : `${organization.name}+`}${wanted.name}`;
  const made = await tx
    .insertInto("robots")
    .values({
      id,
      name,
      organization_id: organization?.id ?? null,
      description,
      disabled: 0,
      epoch: 1,
      created_at: now,
      expires_at: expiresAt ?? null,
    })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returning("id")
    .execute();
  if (made.length === 0) refuse("taken", `there is a robot ${name}`);
  recordEvents(tx, {
    kind: "access-changed",
    action: "robot-created",
    target: { id, name },
    after: { description, ...(expiresAt !== undefined && { expiresAt }) },
  });
  return { id, name, ...(organization && { organizationId: organization.id }) };
}

function requireDescription(text: string): void {
  // oxlint-disable-next-line no-control-regex
  if (text.length > 200 || !text.isWellFormed() || /[\x00-\x1f\x7f]/.test(text)) {
    refuse("invalid", "a description is a line of 200 characters at most");
  }
}

function requireFuture(expiresAt: number | undefined, now: number): void {
  if (expiresAt !== undefined && expiresAt <= now) refuse("invalid", "the end of the robot has passed");
}

export interface RobotChange {
  readonly description?: string;
  readonly disabled?: boolean;
  /** Null takes the end away. */
  readonly expiresAt?: number | null;
}

/** What is not given stays. Disabled, nothing that it has counts any more with the next request. @throws RegistryError */
export async function changeRobot(
  { tx, now }: AccessChange,
  { name, ...wanted }: RobotChange & Pick<Named, "name">,
): Promise<void> {
  const before = await requireRobot(tx, name);
  if (wanted.description !== undefined) requireDescription(wanted.description);
  requireFuture(wanted.expiresAt ?? undefined, now);
  const ends = wanted.disabled !== undefined && wanted.disabled !== before.disabled;
  const set = {
    ...(wanted.description !== undefined && { description: wanted.description }),
    ...(wanted.expiresAt !== undefined && { expires_at: wanted.expiresAt }),
    ...(ends && { disabled: before.disabled ? 0 : 1, epoch: before.epoch + 1 }),
  };
  if (Object.keys(set).length === 0) return;
  await tx.updateTable("robots").set(set).where("id", "=", before.id).execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "robot-changed",
    target: { id: before.id, name: before.name },
    before: told(before),
    after: { ...told(before), ...wanted },
  });
}

const told = ({ description, disabled, expiresAt }: Robot) => ({ description, disabled, expiresAt: expiresAt ?? null });

/** With its secrets and all that it was granted; another robot of its name has nothing of it. @throws RegistryError */
export async function deleteRobot({ tx }: AccessChange, text: string): Promise<void> {
  const { id, name } = await requireRobot(tx, text);
  await removeRobot(tx, id);
  recordEvents(tx, { kind: "access-changed", action: "robot-deleted", target: { id, name } });
}

async function removeRobot(tx: Writer, id: string): Promise<void> {
  await tx.deleteFrom("grants").where("principal_kind", "=", "robot").where("principal_id", "=", id).execute();
  await deleteTokensOf(tx, "robot", id);
  await tx.deleteFrom("robots").where("id", "=", id).execute();
}

/** With their secrets and grants. */
export async function removeRobotsOf(tx: Writer, organizationId: string): Promise<void> {
  const robots = await tx.selectFrom("robots").select("id").where("organization_id", "=", organizationId).execute();
  for (const { id } of robots) await removeRobot(tx, id);
}
