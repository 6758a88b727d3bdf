/**
 * More than anybody's names have. They may have 128 components, but routes for as many would take 23 ms of every start, and
 * these take 12. With fewer Bun closes the connection on a method that it does not know, where it answers as to a GET.
 */
const deepest = 100;

/**
 * Bun resolves dot segments (`..`, `%2e%2e`) before anyone sees the path, but matches routes against the path as it was
 * sent. A route for each number of segments therefore tells how many there were; fewer afterwards means that some were
 * resolved away. A path that no route matches had more than these, or an empty one.
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

/**
 * Whether some were resolved away, or are empty. Of a path that is deeper than all routes it cannot be told: it counts as it
 * was resolved, like any other that nobody wrote with dots.
 * @param sent the number of segments by the route that matched, if one did
 */
export const hasLostSegments = (path: string, sent: number | undefined): boolean =>
  sent === undefined ? countSegments(path) <= deepest : sent !== countSegments(path);

/** Segments of a path; `/v2/` has two, of which the last is empty. */
function countSegments(path: string): number {
  let count = 0;
  for (let index = path.indexOf("/"); index !== -1; index = path.indexOf("/", index + 1)) count++;
  return count;
}
