declare const brand: unique symbol;

/** A value that only its parser can make. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
