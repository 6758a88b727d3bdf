import type { Writer } from "../platform/database/database.ts";
import type { ColumnTypes, Migrations } from "../platform/database/migrations.ts";
import { eventMigrations } from "../platform/events/migrations.ts";

export const registryMigrations: Migrations = {
  owner: "registry",
  needs: [eventMigrations],
  steps: [
    {
      name: "202611210000_registry",
      async up(tx, columns) {
        await createRepositories(tx, columns);
        await createBlobs(tx, columns);
        await createManifests(tx, columns);
        await createTags(tx, columns);
        await createUploads(tx, columns);
      },
    },
    {
      name: "202611280000_damage",
      async up({ schema }, { text, integer }) {
        await schema.alterTable("blobs").addColumn("damaged_at", integer).execute();
        await schema.alterTable("doomed_blobs").addColumn("state", text).execute();
      },
    },
    {
      name: "202611281500_covering_indexes",
      async up({ schema }) {
        await schema.dropIndex("repository_manifests_subject").execute();
        await schema
          .createIndex("repository_manifests_subject")
          .on("repository_manifests")
          // With the type, which a list may ask for: of ten thousand referrers none but those that are listed is looked up.
          .columns(["repository_id", "subject", "digest", "artifact_type"])
          .where("subject", "is not", null)
          .execute();
        await schema.dropIndex("edges_parent").execute();
        // With the child: SQLite would rather go through all edges of a repository in an index that has it.
        await schema.createIndex("edges_parent").on("edges").columns(["repository_id", "parent", "child"]).execute();
      },
    },
    {
      name: "202611282110_visibility",
      async up(tx, { text }) {
        await tx.schema
          .alterTable("repositories")
          // What a server of the version before makes meanwhile is nobody's to see.
          .addColumn("visibility", text, (column) => column.notNull().defaultTo("private"))
          .execute();
        await tx
          .updateTable("repositories")
          .set({ visibility: "public" })
          .where("name", ">=", "library/")
          .where("name", "<", "library0")
          .execute();
        await tx.schema
          .createIndex("repositories_visibility")
          .on("repositories")
          .columns(["visibility", "name"])
          .execute();
      },
    },
    {
      name: "202611282250_tags_of_a_manifest",
      async up({ schema }) {
        await schema.dropIndex("tags_digest").execute();
        // With the name: a page of those that name a manifest is in their order, however many others there are.
        await schema.createIndex("tags_digest").on("tags").columns(["repository_id", "digest", "name"]).execute();
      },
    },
    {
      name: "202611290130_deleted_repositories",
      async up({ schema }, { integer }) {
        await schema
          .createTable("doomed_repositories")
          .addColumn("id", integer, (column) => column.primaryKey().notNull())
          .execute();
      },
    },
    {
      name: "202611291010_uploads_by_their_beginning",
      async up({ schema }) {
        // Each claim and each release wrote the index of the last activity anew: a twentieth of what a small image takes.
        await schema.dropIndex("uploads_active").execute();
        await schema.createIndex("uploads_started").on("uploads").column("started_at").execute();
      },
    },
  ],
};

async function createRepositories({ schema }: Writer, { text, integer, identity }: ColumnTypes): Promise<void> {
  await schema
    .createTable("repositories")
    .addColumn("id", identity)
    .addColumn("name", text, (column) => column.notNull().unique())
    .addColumn("created_at", integer, (column) => column.notNull())
    .execute();
}

async function createBlobs({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("blobs")
    .addColumn("digest", text, (column) => column.primaryKey())
    .addColumn("blob_key", text, (column) => column.notNull().unique())
    .addColumn("size_bytes", integer, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .execute();
  await schema
    .createTable("repository_blobs")
    .addColumn("repository_id", integer, (column) => column.notNull())
    .addColumn("digest", text, (column) => column.notNull())
    .addColumn("leased_until", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("repository_blobs_key", ["repository_id", "digest"])
    .execute();
  await schema.createIndex("repository_blobs_digest").on("repository_blobs").column("digest").execute();
  await schema.createIndex("repository_blobs_lease").on("repository_blobs").column("leased_until").execute();
  await schema
    .createTable("doomed_blobs")
    .addColumn("blob_key", text, (column) => column.primaryKey())
    .addColumn("delete_after", integer, (column) => column.notNull())
    .execute();
  await schema.createIndex("doomed_blobs_time").on("doomed_blobs").column("delete_after").execute();
}

async function createManifests({ schema }: Writer, { text, integer, bytes }: ColumnTypes): Promise<void> {
  await schema
    .createTable("manifests")
    .addColumn("digest", text, (column) => column.primaryKey())
    .addColumn("media_type", text, (column) => column.notNull())
    .addColumn("size_bytes", integer, (column) => column.notNull())
    .addColumn("artifact_type", text)
    .addColumn("subject", text)
    .addColumn("annotations", text)
    .addColumn("descriptor_bytes", integer, (column) => column.notNull())
    .addColumn("bytes", bytes, (column) => column.notNull())
    .execute();
  await schema
    .createTable("repository_manifests")
    .addColumn("repository_id", integer, (column) => column.notNull())
    .addColumn("digest", text, (column) => column.notNull())
    .addColumn("subject", text)
    .addColumn("artifact_type", text)
    .addColumn("pushed_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("repository_manifests_key", ["repository_id", "digest"])
    .execute();
  await schema.createIndex("repository_manifests_digest").on("repository_manifests").column("digest").execute();
  await schema
    .createIndex("repository_manifests_subject")
    .on("repository_manifests")
    .columns(["repository_id", "subject", "digest"])
    .where("subject", "is not", null)
    .execute();
  await schema
    .createTable("edges")
    .addColumn("repository_id", integer, (column) => column.notNull())
    .addColumn("child", text, (column) => column.notNull())
    .addColumn("parent", text, (column) => column.notNull())
    .addColumn("kind", text, (column) => column.notNull())
    .addPrimaryKeyConstraint("edges_key", ["repository_id", "child", "parent"])
    .execute();
  await schema.createIndex("edges_parent").on("edges").columns(["repository_id", "parent"]).execute();
}

async function createTags({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("tags")
    .addColumn("repository_id", integer, (column) => column.notNull())
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("digest", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("updated_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("tags_key", ["repository_id", "name"])
    .execute();
  await schema.createIndex("tags_digest").on("tags").columns(["repository_id", "digest"]).execute();
}

async function createUploads({ schema }: Writer, { text, integer }: ColumnTypes): Promise<void> {
  await schema
    .createTable("uploads")
    .addColumn("id", text, (column) => column.primaryKey())
    .addColumn("repository", text, (column) => column.notNull())
    .addColumn("principal", text, (column) => column.notNull())
    .addColumn("blob_key", text, (column) => column.notNull().unique())
    .addColumn("state", text, (column) => column.notNull())
    .addColumn("size_bytes", integer, (column) => column.notNull())
    .addColumn("algorithm", text, (column) => column.notNull())
    .addColumn("digest", text)
    .addColumn("started_at", integer, (column) => column.notNull())
    .addColumn("active_at", integer, (column) => column.notNull())
    .addColumn("holder", text)
    .addColumn("held_until", integer, (column) => column.notNull())
    .execute();
  await schema.createIndex("uploads_active").on("uploads").columns(["active_at", "id"]).execute();
  await schema.createIndex("uploads_principal").on("uploads").columns(["principal", "id"]).execute();
}
