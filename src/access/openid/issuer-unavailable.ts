/** An issuer gives no answer, or none that counts. The message is for the log: nothing that it sent is in it. */
export class IssuerUnavailable extends Error {
  override readonly name = "IssuerUnavailable";
}
