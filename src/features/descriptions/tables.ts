import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** What people read of a repository; one without a row has none. */
    repository_descriptions: {
      readonly repository_id: number;
      /** Markdown. */
      readonly text: string;
      readonly revision: number;
      readonly updated_at: number;
    };
  }
}

export type DescriptionRow = Selectable<Tables["repository_descriptions"]>;
