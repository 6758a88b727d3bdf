/** Who may pull without a grant: everyone, every account, or nobody. */
export type Visibility = "public" | "internal" | "private";

export const visibilities = ["public", "internal", "private"] as const satisfies readonly Visibility[];

export const parseVisibility = (text: string): Visibility | undefined => visibilities.find((one) => one === text);
