import type { Command } from "commander";
import type { Registry } from "../registry/registry.ts";
import { cancelUploadById } from "../registry/uploads/cancel-upload.ts";
import { listUploads } from "../registry/uploads/list-uploads.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { withRegistry } from "./with-registry.ts";

const pageSize = 1000;

interface ListOptions extends CommonOptions {
  readonly json?: true;
}

/** `berth uploads list|cancel`: pushes that have begun and not ended, on the data folder. */
export function addUploads(program: Command): void {
  const uploads = program.command("uploads").description("pushes that have begun and not ended");
  withCommonOptions(uploads.command("list"))
    .description("list every open upload")
    .option("--json", "one JSON object a line")
    .action((options: ListOptions) => withRegistry(options, (registry) => printUploads(registry, options)));
  withCommonOptions(uploads.command("cancel <id>"))
    .description("end an upload and free its bytes")
    .action((id: string, options: CommonOptions) =>
      withRegistry(options, async (registry) => {
        if (!(await cancelUploadById(registry, id))) throw new StartError(`there is no open upload ${id}`);
        process.stdout.write(`cancelled ${id}\n`);
      }),
    );
}

async function printUploads(registry: Registry, { json }: ListOptions): Promise<void> {
  let after: string | undefined;
  for (;;) {
    const page = await listUploads(registry, { after, limit: pageSize });
    for (const upload of page.items) {
      const { id, repository, principal, sizeBytes, startedAt, activeAt } = upload;
      const [started, active] = [new Date(startedAt).toISOString(), new Date(activeAt).toISOString()];
      const line = json
        ? JSON.stringify({ id, repository, principal, sizeBytes, startedAt: started, activeAt: active })
        : [id, repository, principal, `${sizeBytes} bytes`, `since ${started}`, `active ${active}`].join("  ");
      process.stdout.write(`${line}\n`);
    }
    after = page.items.at(-1)?.id;
    if (page.isLast) return;
  }
}
