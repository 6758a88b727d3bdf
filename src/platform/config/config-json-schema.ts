import { z } from "zod";
import { configSchema } from "./schema.ts";
import { settingDescriptions } from "./setting-descriptions.ts";

/** The JSON Schema of the configuration file, in the draft that editors know. */
export const configJsonSchema = (): object => ({
  title: "Berth's configuration",
  ...z.toJSONSchema(configSchema, {
    io: "input",
    target: "draft-7",
    override({ jsonSchema, path }) {
      const description = settingDescriptions[path.filter((key) => key !== "properties").join(".")];
      if (description !== undefined) jsonSchema.description = description;
    },
  }),
});
