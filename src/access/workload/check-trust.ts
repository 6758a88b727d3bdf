import { isIssuerUrl } from "../../platform/config/issuer-schema.ts";
import { refuse } from "../refusal.ts";
import { githubIssuer } from "./claims.ts";
import type { Condition, Trust } from "./rule.ts";

const mostConditions = 16;
const mostStars = 16;
const claimName = /^[!-~]{1,128}$/;
// oxlint-disable-next-line no-control-regex
const control = /[\x00-\x1f\x7f]/;

/** Issuers that sign for everyone, and the claims that tell whose a token is. What may be called by others is none of them. */
const everyones: Readonly<Record<string, readonly string[]>> = {
  [githubIssuer]: ["sub", "repository", "repository_id", "repository_owner", "repository_owner_id"],
  "https://gitlab.com": ["sub", "project_id", "project_path", "namespace_id", "namespace_path"],
  "https://accounts.google.com": ["sub", "email"],
};

/** @throws RegistryError */
export function checkTrust({ issuer, audience, conditions }: Trust, listed: readonly string[]): void {
  if (!isIssuerUrl(issuer)) refuse("invalid", "an issuer is https://<host>, letter by letter as its tokens have it");
  if (!issuer.startsWith("https:") && !listed.includes(issuer)) {
    refuse("invalid", `${issuer} has no TLS: access.issuers has to name it`);
  }
  if (!isText(audience, 512)) refuse("invalid", "say what tokens have to be made for: an audience of 512 characters");
  if (conditions.length > mostConditions) {
    refuse("invalid", `a rule has ${String(mostConditions)} conditions at most`);
  }
  for (const condition of conditions) checkCondition(condition);
  if (!conditions.some(({ pattern }) => /[^*]/.test(pattern))) {
    refuse(
      "invalid",
      "without a condition on a claim, whoever the issuer knows would be this robot: say whose tokens, such as sub=...",
    );
  }
  const owners = everyones[issuer];
  if (owners !== undefined && !conditions.some((one) => owners.includes(one.claim) && namesSomebody(one.pattern))) {
    refuse(
      "invalid",
      `${issuer} signs for everyone, and so a rule has to say whose tokens: ${owners.join(", ")}, with no * before a slash`,
    );
  }
}

function checkCondition({ claim, pattern }: Condition): void {
  if (!claimName.test(claim)) refuse("invalid", "a claim's name has 1 to 128 characters of ASCII, and no space");
  if (["iss", "aud", "exp", "nbf", "iat", "jti"].includes(claim)) {
    refuse("invalid", `${claim} is looked at in any case, and is no condition`);
  }
  if (!isText(pattern, 512) || pattern.split("*").length - 1 > mostStars) {
    refuse("invalid", `${claim}: what it has to be is 1 to 512 characters, with ${String(mostStars)} * at most`);
  }
}

const isText = (text: string, most: number): boolean =>
  text !== "" && text.length <= most && text.isWellFormed() && !control.test(text);

/** `acme/*` is below one owner, `acme*` may be anyone who takes a name that begins so. */
const namesSomebody = (pattern: string): boolean => {
  const star = pattern.indexOf("*");
  return star === -1 || pattern.slice(0, star).includes("/");
};
