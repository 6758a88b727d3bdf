import { z } from "zod";
import { parseNetwork } from "../net/networks.ts";
import { address } from "./address.ts";
import { clientCertificatesSchema } from "./client-certificates-schema.ts";
import { issuersSchema } from "./issuer-schema.ts";
import { proxyIdentitySchema } from "./proxy-identity-schema.ts";
import { pullLimitsSchema } from "./pull-limits-schema.ts";
import { sourcesSchema } from "./sources-schema.ts";
import { tlsSchema } from "./tls-schema.ts";
import { tracingSchema } from "./tracing-schema.ts";

const seconds = (preset: number, most: number) => z.number().int().min(1).max(most).default(preset);
const daySeconds = 86_400;

const publicUrl = z
  .url({ protocol: /^https?$/ })
  // What is no URL at all has been refused before, and would throw here.
  .refine((text) => !URL.canParse(text) || new URL(text).pathname === "/", "must be an origin without a path");

const mostNetworks = 256;

/** To trust everyone would let everyone pose as anyone. */
const networks = z
  .array(z.string())
  .max(mostNetworks)
  .superRefine((texts, context) => {
    const wrong = texts.find((text) => (parseNetwork(text)?.bits ?? 0) === 0);
    if (wrong === undefined) return;
    context.addIssue({ code: "custom", message: `must be addresses and networks such as 10.0.0.0/8, not "${wrong}"` });
  });

const collectorUrl = z
  .string()
  .max(300)
  .refine((text) => {
    const { protocol = "", hostname = "", port = "" } = URL.parse(text) ?? {};
    return /^(?:tcp|tls|udp):$/.test(protocol) && text === `${protocol}//${hostname}:${port}` && hostname !== "";
  }, "must be tcp://<host>:<port>, tls://<host>:<port> or udp://<host>:<port>");

const mostOrigins = 64;

/** Each as a browser writes it; none for all, which would be anyone's pages. */
const origins = z
  .array(z.string())
  .max(mostOrigins)
  .superRefine((texts, context) => {
    const wrong = texts.find(
      (text) => !/^https?:$/.test(URL.parse(text)?.protocol ?? "") || URL.parse(text)?.origin !== text,
    );
    if (wrong === undefined) return;
    context.addIssue({ code: "custom", message: `must be origins such as https://pages.example.org, not "${wrong}"` });
  });

/** Every setting, its limits and its default. Unknown keys are refused: a wrong configuration does not start. */
export const configSchema = z
  .strictObject({
    data: z.string().min(1).default("./data"),
    /** Encrypts what must be read back; 32 characters or more. Without it, a random one is kept in the data folder. */
    secret: z.string().meta({ writeOnly: true }).optional(),
    http: z
      .strictObject({
        addr: address.default("127.0.0.1:5000"),
        /** Where clients reach the registry, when that is not what their Host header says. */
        publicUrl: publicUrl.optional(),
        /** For a connection without a request, and for all of a request's headers. Bun takes up to 4 seconds more. */
        idleSeconds: z.number().int().min(8).max(240).default(50),
        /** For a body that does not come, and one that the client does not take. */
        stallSeconds: seconds(120, 3600),
        minBytesPerSecond: z.number().int().min(1).max(1_048_576).default(1024),
        /** Proxies whose word on client, scheme and host counts. */
        trustedProxies: networks.optional(),
        /** The kind of header that these proxies write. */
        forwardedHeader: z.enum(["x-forwarded", "forwarded"]).default("x-forwarded"),
        /** Pages elsewhere that may ask the API, with credentials of their own. */
        corsOrigins: origins.optional(),
        /** Processes that serve the port. With more than one, another one keeps them running. */
        workers: z.number().int().min(1).max(64).default(1),
      })
      .prefault({}),
    tls: tlsSchema.prefault({}),
    database: z
      .strictObject({
        url: z
          .string()
          .regex(/^(?:sqlite:|postgres(?:ql)?:\/\/)/, "must start with sqlite: or postgres://")
          .optional(),
      })
      .prefault({}),
    blobs: z
      .strictObject({
        /** Free space that pushes leave to everything else; 0: none. */
        reserveBytes: z
          .number()
          .int()
          .min(0)
          .max(2 ** 50)
          .optional(),
      })
      .prefault({}),
    access: z
      .strictObject({
        mode: z.enum(["standard", "open"]).default("standard"),
        /** Name of this registry in tokens: `service` of the challenge and audience of the token. */
        service: z
          .string()
          .regex(/^[a-zA-Z0-9._:/-]{1,255}$/, "must be 1 to 255 letters, digits and . _ : / -")
          .default("berth"),
        sessions: z
          .strictObject({
            /** How long a session of the API lives without a request that a person has made. */
            idleSeconds: z
              .number()
              .int()
              .min(60)
              .max(30 * daySeconds)
              .default(3600),
            longestSeconds: z
              .number()
              .int()
              .min(60)
              .max(90 * daySeconds)
              .default(daySeconds / 2),
          })
          .prefault({}),
        /** Names and bcrypt hashes, of which accounts are made at each start where there are none yet. */
        htpasswdFile: z.string().min(1).optional(),
        tokens: z
          .strictObject({
            defaultDays: z.number().int().min(1).max(3650).default(90),
            maximumDays: z.number().int().min(1).max(3650).default(365),
          })
          .refine(({ defaultDays, maximumDays }) => defaultDays <= maximumDays, {
            path: ["defaultDays"],
            error: "must not be more than maximumDays",
          })
          .prefault({}),
        /** Where people are known beside the accounts of the database. */
        sources: sourcesSchema.optional(),
        /** Of workloads' tokens: those that are not on the internet, or have an authority of their own. */
        issuers: issuersSchema.optional(),
        /** The rest between two looks at all accounts that come from them. */
        resyncSeconds: z.number().int().min(10).max(daySeconds).default(1800),
        clientCertificates: clientCertificatesSchema.prefault({}),
        proxyIdentity: proxyIdentitySchema(networks).prefault({}),
      })
      .prefault({}),
    manifests: z
      .strictObject({
        /** Whether an index may name manifests that are not in the repository. */
        sparseIndexes: z.boolean().default(true),
        /** Whether an image may name layers that are not in the repository: a pull of it may fail. */
        sparseImages: z.boolean().default(false),
      })
      .prefault({}),
    delete: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
    uploads: z
      .strictObject({
        idleSeconds: seconds(daySeconds, 30 * daySeconds),
        maxBytes: z
          .number()
          .int()
          .min(1)
          .max(2 ** 50)
          .default(64 * 2 ** 30),
        maxSessions: z.number().int().min(1).max(1_000_000).default(10_000),
        maxSessionsPerPrincipal: z.number().int().min(1).max(1_000_000).default(1000),
      })
      .prefault({}),
    collect: z
      .strictObject({
        intervalSeconds: seconds(60, daySeconds),
        /** How long a blob that no manifest names is kept. */
        leaseSeconds: seconds(daySeconds, 365 * daySeconds),
      })
      .prefault({}),
    journal: z
      .strictObject({
        /** The rest between two segments: what a loss of the database can take from a rebuild. */
        intervalSeconds: seconds(2, 3600),
        snapshotSeconds: seconds(6 * 3600, 30 * daySeconds),
        /** Changes that are kept while the journal cannot be written. */
        maxPendingChanges: z.number().int().min(1000).max(10_000_000).default(100_000),
      })
      .prefault({}),
    audit: z
      .strictObject({
        /** Whether it is remembered what was done and refused. */
        enabled: z.boolean().default(true),
        sealSeconds: seconds(60, daySeconds),
        /** Older entries go, seal by seal; without it, none do. */
        keepDays: z.number().int().min(1).max(36_500).optional(),
        /** A collector that entries are sent to. */
        syslog: z
          .strictObject({
            url: collectorUrl.optional(),
            /** Authorities that it is trusted by, beside the usual ones. */
            caFile: z.string().min(1).optional(),
          })
          .prefault({}),
      })
      .prefault({}),
    pullLimits: pullLimitsSchema,
    usage: z
      .strictObject({
        /** Whether it is counted who moves how much in which repository. */
        enabled: z.boolean().default(true),
        keepDays: z.number().int().min(1).max(36_500).default(400),
      })
      .prefault({}),
    tracing: tracingSchema,
    metrics: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
    shutdown: z
      .strictObject({
        /** How long requests are still taken while /readyz already says no, so that a balancer sees it. */
        noticeSeconds: z.number().int().min(0).max(600).default(0),
        /** How long running requests may take then; docker kills 10 seconds after it has asked. */
        drainSeconds: seconds(8, 3600),
      })
      .prefault({}),
    log: z.strictObject({ level: z.enum(["debug", "info", "warn", "error"]).default("info") }).prefault({}),
  })
  .superRefine(({ access: { mode, htpasswdFile } }, context) => {
    if (mode !== "open" || htpasswdFile === undefined) return;
    const message = "is of no use where access.mode is open: everyone comes in without signing in";
    context.addIssue({ code: "custom", path: ["access", "htpasswdFile"], message });
  })
  .superRefine(({ access: { clientCertificates }, tls: { certFile, acme } }, context) => {
    if (clientCertificates.caFile === undefined || certFile !== undefined || acme.hosts !== undefined) return;
    const message = "needs a certificate of the server's own: tls.certFile and tls.keyFile, or tls.acme.hosts";
    context.addIssue({ code: "custom", path: ["access", "clientCertificates", "caFile"], message });
  })
  .superRefine(({ http, tls: { acme } }, context) => {
    if (http.workers === 1 || acme.hosts === undefined || acme.challenge === "http-01") return;
    // Any worker may meet the authority, and one of them alone has asked it.
    const message = "must be http-01 where http.workers is more than 1";
    context.addIssue({ code: "custom", path: ["tls", "acme", "challenge"], message });
  });

export type Config = z.infer<typeof configSchema>;
