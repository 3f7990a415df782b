/** A reason not to start that the person at the terminal can do something about: told in one sentence, without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
