import type { Caller } from "../access/principal.ts";
import type { CallerNamed, VouchedName } from "../access/vouched-callers.ts";
import { fail } from "../oci/problem.ts";
import type { Incoming } from "../platform/runtime/http.ts";

/** Of requests that bring no credentials, and of which somebody or something else says who they are from. */
export interface Vouching {
  /** Whether it is said. */
  vouches(request: Incoming): boolean;
  /**
   * Who it is; `undefined` where nothing is said.
   * @throws RegistryError UNAUTHORIZED for a name that is nobody's who may come in so, and a certificate that is no good
   */
  callerOf(request: Incoming, scopes?: readonly string[]): Promise<Caller | undefined>;
}

/** One way to say it. */
export interface Voucher {
  speaksOf(request: Incoming): boolean;
  /** Of one that it speaks of; `undefined` for nobody. */
  nameIn(request: Incoming): VouchedName | undefined;
  readonly count: (outcome: "accepted" | "refused") => void;
}

/** @param vouchers the first that speaks of a request counts */
export function openVouching(vouchers: readonly Voucher[], callerNamed: CallerNamed): Vouching {
  const voucherOf = (request: Incoming): Voucher | undefined =>
    request.headers.has("authorization") ? undefined : vouchers.find((voucher) => voucher.speaksOf(request));
  return {
    vouches: (request) => voucherOf(request) !== undefined,
    async callerOf(request, scopes = []) {
      const voucher = voucherOf(request);
      if (voucher === undefined) return undefined;
      const named = voucher.nameIn(request);
      const caller = named && (await callerNamed(named, request));
      voucher.count(caller === undefined ? "refused" : "accepted");
      return caller ?? fail({ code: "UNAUTHORIZED", scopes });
    },
  };
}
