/** What a rebuild met that is not as it has to be, or that it left out. */
export type RebuildFinding =
  | { readonly kind: "damaged-document"; readonly document: string; readonly reason: string }
  /** Nothing that a journal has written bears such a name. */
  | { readonly kind: "unknown-document"; readonly document: string }
  /** Behind a gap: what it says cannot be known to follow. */
  | { readonly kind: "unused-document"; readonly document: string }
  | { readonly kind: "wrong-manifest"; readonly digest: string; readonly reason: string }
  | { readonly kind: "missing-manifest"; readonly repository: string; readonly digest: string }
  | { readonly kind: "missing-bytes"; readonly digest: string; readonly key: string }
  | {
      readonly kind: "wrong-size";
      readonly digest: string;
      readonly key: string;
      readonly expectedBytes: number;
      readonly foundBytes: number;
    }
  | { readonly kind: "dangling-tag"; readonly repository: string; readonly tag: string; readonly digest: string };

/** One line for an operator. */
export function describeRebuildFinding(finding: RebuildFinding): string {
  switch (finding.kind) {
    case "damaged-document":
      return `journal/${finding.document} ${finding.reason}`;
    case "unknown-document":
      return `journal/${finding.document} is no document of a journal; it was left alone`;
    case "unused-document":
      return `journal/${finding.document} stands behind a gap; what it says was not used`;
    case "wrong-manifest":
      return `${finding.digest}: the manifest ${finding.reason}; it was left out`;
    case "missing-manifest":
      return `${finding.repository} had ${finding.digest}, whose bytes the journal does not have; push it again`;
    case "missing-bytes":
      return `${finding.digest}: its bytes are missing from the store (key ${finding.key}); push it again`;
    case "wrong-size":
      return `${finding.digest}: ${finding.foundBytes} bytes where ${finding.expectedBytes} belong (key ${finding.key}); push it again`;
    case "dangling-tag":
      return `${finding.repository}:${finding.tag} named ${finding.digest}, which could not be rebuilt; it was left out`;
    default:
      return finding satisfies never;
  }
}
