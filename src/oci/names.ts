import type { Brand } from "./brand.ts";

/** `<component>/<component>`, at most 255 characters (distribution-spec, "Pulling manifests"). */
export type RepositoryName = Brand<string, "RepositoryName">;
/** At most 128 characters, never with the colon of a digest (distribution-spec, "Pulling manifests"). */
export type Tag = Brand<string, "Tag">;

const longestNameCharacters = 255;
const component = "[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*";
const repositoryName = new RegExp(`^${component}(?:/${component})*$`);
const tag = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

const isRepositoryName = (text: string): text is RepositoryName =>
  text.length <= longestNameCharacters && repositoryName.test(text);
const isTag = (text: string): text is Tag => tag.test(text);

export const parseRepositoryName = (text: string): RepositoryName | undefined =>
  isRepositoryName(text) ? text : undefined;

export const parseTag = (text: string): Tag | undefined => (isTag(text) ? text : undefined);
