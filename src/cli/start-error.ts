/** Something that the operator can set right; told without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}
