/** The job that looks at all accounts of all sources. */
export const sourcesJobName = "sources";
