/** Directories of the real file system for the length of a check. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs with a fresh directory, which is removed afterwards. */
export function withDirectory<T>(run: (dir: string) => Promise<T>): Promise<T> {
  return withDirectoryIn(tmpdir(), run)
}

/** The same on a file system that the kernel keeps in memory, where there is one: for files that nothing is to survive, so that no sync waits for a disk. */
export function withVolatileDirectory<T>(run: (dir: string) => Promise<T>): Promise<T> {
  return withDirectoryIn(hasSharedMemory() ? SHARED_MEMORY : tmpdir(), run)
}

const SHARED_MEMORY = '/dev/shm'

function hasSharedMemory(): boolean {
  try {
    accessSync(SHARED_MEMORY, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function withDirectoryIn<T>(parent: string, run: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(parent, 'wk-stress-'))
  try {
    return await run(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
