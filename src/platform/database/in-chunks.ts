/** Far below the parameters that either database takes in one statement, also with several columns a row. */
const mostInOneStatement = 500;

/** Cuts a long list into pieces that fit one statement. */
export function* inChunks<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += mostInOneStatement) {
    yield items.slice(start, start + mostInOneStatement);
  }
}
