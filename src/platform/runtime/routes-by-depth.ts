/** More than any repository's name and what follows it can have: 255 characters make 128 components. */
const deepest = 140;

/**
 * Bun resolves dot segments (`..`, `%2e%2e`) before anyone sees the path, but matches routes against the path as it was
 * sent. A route for each number of segments therefore tells how many there were; fewer afterwards means that some were
 * resolved away.
 */
export function routesByDepth<H>(handler: (segments: number) => H): Record<string, H> {
  const routes: Record<string, H> = { "/": handler(1) };
  let pattern = "";
  for (let segments = 1; segments <= deepest; segments++) {
    pattern += `/:s${segments}`;
    routes[pattern] = handler(segments);
    // A parameter takes no empty segment, and a path may end in one.
    routes[`${pattern}/`] = handler(segments + 1);
  }
  return routes;
}

/** Segments of a path; `/v2/` has two, of which the last is empty. */
export function countSegments(path: string): number {
  let count = 0;
  for (let index = path.indexOf("/"); index !== -1; index = path.indexOf("/", index + 1)) count++;
  return count;
}
