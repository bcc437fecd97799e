/** Whether the directory lock of this platform and runtime has a shared mode: two of its variants are exclusive only (`@wk/fs`). */
import { LockedError } from '@wk/codec'
import { NodeFileSystem } from '@wk/fs'

/** Asks the file system itself, with a lock file of that path. */
export async function locksAreShared(path: string): Promise<boolean> {
  const fs = new NodeFileSystem()
  const first = await fs.lock(path, { shared: true })
  try {
    await (await fs.lock(path, { shared: true })).release()
    return true
  } catch (error) {
    if (error instanceof LockedError) return false
    throw error
  } finally {
    await first.release()
  }
}
