interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string | undefined;
}

/** Everything of a list, a page at a time. */
export async function* allPages<T>(read: (after: string | undefined) => Promise<Page<T>>): AsyncGenerator<T> {
  for (let after: string | undefined; ;) {
    const page = await read(after);
    yield* page.items;
    after = page.next;
    if (after === undefined) return;
  }
}
