/** Who has changed something, and from where. */
export type Actor =
  | {
      readonly kind: "account";
      readonly id: string;
      readonly name: string;
      readonly address: string;
      readonly requestId: string;
    }
  | { readonly kind: "anonymous"; readonly address: string; readonly requestId: string }
  /** Whoever runs a command on the data folder: the user of the machine. */
  | { readonly kind: "operator"; readonly name: string }
  /** The server itself. */
  | { readonly kind: "server" };
