/** A mistake of the person who called: wrong option, missing directory, unwritable place. Ends the program with status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
