/** Waits for all of them to end, then throws what the first one that failed did: nothing is still under way when this rejects. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}
