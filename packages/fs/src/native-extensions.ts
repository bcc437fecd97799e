/**
 * Loader of the optional dependency `fs-native-extensions` (prebuilt, not for every platform).
 *
 * The only place that names it. Guarantees: never throws; where the package or its binary is absent the answer is
 * undefined, and `lock.ts` takes another way; holes are not punched then.
 */
import { createRequire } from 'node:module'

export interface NativeExtensions {
  /**
   * Asks the kernel for a lock on a byte range of an open file, held by that open file: a second descriptor is
   * refused in the same process too, and the lock goes when the descriptor is closed. @returns whether it was granted
   */
  tryLock(fd: number, offset: number, length: number, options: { shared: boolean }): boolean
  /** Deallocates a byte range of an open file. */
  trim(fd: number, offset: number, length: number): Promise<void>
}

let loaded: NativeExtensions | undefined
let tried = false

/** The package, or undefined where it cannot be loaded. */
export function loadNativeExtensions(): NativeExtensions | undefined {
  if (tried) return loaded
  tried = true
  if (isAnotherRuntime()) return undefined
  try {
    const candidate: unknown = createRequire(import.meta.url)('fs-native-extensions')
    if (isNativeExtensions(candidate)) loaded = candidate
  } catch {
    // Not installed, or no binary for this platform: the caller has a fallback.
  }
  return loaded
}

/**
 * Bun and Deno have only part of libuv, which the package is written against: it loads, and ends the whole process at the first
 * call that is not there (Bun 1.4: at a lock that is taken; Deno 2.9: at any lock).
 */
function isAnotherRuntime(): boolean {
  return process.versions['bun'] !== undefined || process.versions['deno'] !== undefined
}

function isNativeExtensions(value: unknown): value is NativeExtensions {
  if (typeof value !== 'object' || value === null) return false
  const { tryLock, trim } = value as Partial<NativeExtensions>
  return typeof tryLock === 'function' && typeof trim === 'function'
}
