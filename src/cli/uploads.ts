import type { Command } from "commander";
import * as repositories from "../http/api/repositories/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

/** `berth uploads list|cancel`: pushes that have begun and not ended, of a running server or in the data folder. */
export function addUploads(program: Command): void {
  const uploads = program.command("uploads").description("pushes that have begun and not ended");
  withApiOptions(uploads.command("list"))
    .description("list every open upload")
    .action((options: ApiOptions) =>
      withApi(options, async (call) => {
        const all = allPages((after) => call(repositories.listUploads, { query: { limit: "1000", after } }));
        for await (const upload of all) {
          const { id, repository, principal, sizeBytes, startedAt, activeAt } = upload;
          const line = [id, repository, principal, `${sizeBytes} bytes`, `since ${startedAt}`, `active ${activeAt}`];
          if (options.json) printOne(upload, true);
          else process.stdout.write(`${line.join("  ")}\n`);
        }
      }),
    );
  withApiOptions(uploads.command("cancel <id>"))
    .description("end an upload and free its bytes")
    .action((id: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const removal = await call(repositories.cancelUpload, { params: { upload: id } });
        if (options.json) printRemoval(removal, true);
        else process.stdout.write(`cancelled ${id}\n`);
      }),
    );
}
