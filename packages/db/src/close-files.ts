/**
 * The last step of `close()`: everything durable and marked as a clean end, or, after a failure, nothing written.
 */
import type { Parts } from './open.js'

/** Closes tree and value log. Rejects, with all files closed, only when making the data durable fails now. */
export async function closeFiles({ tree, vlog, health }: Parts, durably: boolean): Promise<void> {
  if (!durably) {
    vlog?.abandon(health.failure)
    // Nothing is written: a handle that reports a failure as it is closed is closed all the same.
    await Promise.allSettled([tree.close({ clean: false }), vlog?.close()])
    return
  }
  try {
    await vlog?.seal()
    const end = vlog?.position()
    await tree.close({ clean: true, vlog: { fid: end?.fid ?? 0, size: end?.offset ?? 0 } })
  } catch (error) {
    vlog?.abandon(error)
    await Promise.allSettled([tree.close({ clean: false }), vlog?.close()])
    throw error
  }
  await vlog?.close()
}
