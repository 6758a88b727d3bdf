import { generateKeyPairSync } from "node:crypto";
import { resolve } from "node:path";
import { basic } from "../protocol/registry-client.ts";
import { unusedPort } from "../support/unused-port.ts";

/** By what they type as their name, which is also their `sub`. */
export type People = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export type Misbehaviour =
  | "wrong-nonce"
  | "no-nonce"
  | "wrong-audience"
  | "more-audiences"
  | "wrong-party"
  | "wrong-issuer"
  | "expired"
  | "another-key"
  | "unsigned"
  | "shared-secret"
  | "token-endpoint-fails"
  | "userinfo-of-another"
  | "codes-malformed";

export interface ProviderOptions {
  readonly people: People;
  readonly redirectUris: readonly string[];
  readonly signedOutUris?: readonly string[];
  readonly authMethod?: "client_secret_basic" | "client_secret_post" | "none";
  readonly claimsAtUserinfo?: boolean;
  /** In PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** One that nobody has, where it is not said. */
  readonly port?: number;
}

export interface ProviderPlan extends Omit<ProviderOptions, "port"> {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Of a program, with the same secret. */
  readonly jobId: string;
  /** It signs with this one, also when it was started anew. */
  readonly key: ReturnType<typeof exportKey>;
}

/** oidc-provider in a process of its own, which ends with its owner. */
export interface Provider extends AsyncDisposable {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** A token of a program that nobody has signed in to, for an audience. */
  tokenOfJob(audience: string): Promise<string>;
  /** Replaces what it says of people. */
  setPeople(people: People): Promise<void>;
  /** From now on; `undefined`: as it should. */
  misbehave(how: Misbehaviour | undefined): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

const program = resolve(import.meta.dir, "provider-process.ts");

const exportKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

export async function startProvider({ port, ...options }: ProviderOptions): Promise<Provider> {
  const taken = port ?? (await unusedPort());
  const issuer = `${options.tls === undefined ? "http" : "https"}://localhost:${taken}`;
  const plan: ProviderPlan = {
    ...options,
    issuer,
    clientId: "berth",
    jobId: "job",
    clientSecret: "secret of the client & more",
    key: exportKey(),
  };
  const launch = async () => {
    const child = Bun.spawn([process.execPath, program, JSON.stringify(plan)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    const { value } = await child.stdout.getReader().read();
    if (value === undefined) throw new Error("the provider did not start");
    return child;
  };
  let child = await launch();
  const tell = async (what: { readonly people?: People; readonly misbehaviour?: Misbehaviour }): Promise<void> => {
    const answer = await fetch(`${issuer}/test`, {
      method: "POST",
      body: JSON.stringify(what),
      tls: { rejectUnauthorized: false },
    });
    if (!answer.ok) throw new Error(`the provider answers ${answer.status}`);
  };
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    issuer,
    clientId: plan.clientId,
    clientSecret: plan.clientSecret,
    async tokenOfJob(resource) {
      const answer = await fetch(`${issuer}/token`, {
        method: "POST",
        headers: { authorization: basic(plan.jobId, encodeURIComponent(plan.clientSecret)) },
        body: new URLSearchParams({ grant_type: "client_credentials", resource, scope: "push" }),
      });
      const { access_token: token } = (await answer.json()) as { readonly access_token?: string };
      if (token === undefined) throw new Error(`the provider gives no token: ${answer.status}`);
      return token;
    },
    setPeople: (people) => tell({ people }),
    misbehave: (how) => tell(how === undefined ? {} : { misbehaviour: how }),
    kill,
    async start() {
      child = await launch();
    },
    [Symbol.asyncDispose]: kill,
  };
}
