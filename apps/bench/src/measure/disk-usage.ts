/** Disk space that a directory holds. */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Bytes allocated for `dir` and everything under it, folders included (blocks of 512 bytes as the file system reports them, so
 * holes are free). Files that go away while it looks count as zero, as does a missing directory.
 */
export function diskUsage(dir: string): number {
  let names
  try {
    names = readdirSync(dir, { withFileTypes: true })
  } catch {
    return 0
  }
  let bytes = (lstatSync(dir, { throwIfNoEntry: false })?.blocks ?? 0) * 512
  for (const entry of names) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) bytes += diskUsage(path)
    else bytes += (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512
  }
  return bytes
}
