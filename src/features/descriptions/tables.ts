import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** What people read of a repository; one without a row has none. */
    repository_descriptions: {
      readonly repository_id: number;
      /** Markdown. */
      readonly text: string;
      /** Of text and labels. */
      readonly revision: number;
      readonly updated_at: number;
    };
    repository_labels: {
      readonly repository_id: number;
      readonly key: string;
      readonly value: string;
      /** The repository's name, which it keeps: those with a label are listed in its order. */
      readonly repository: string;
    };
  }
}

export type DescriptionRow = Selectable<Tables["repository_descriptions"]>;
