/**
 * Loader of the optional `@node-rs/crc32`. It ships prebuilt binaries and may be absent: then `undefined`.
 */
import { createRequire } from 'node:module'

type Crc32c = (bytes: Uint8Array, seed?: number) => number

/** The native CRC-32C, or `undefined` where the package is absent, does not load, or gives a wrong sum. */
export function loadNativeCrc32c(): Crc32c | undefined {
  try {
    const { crc32c } = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: Crc32c }
    return crc32c(Buffer.from('123456789')) === 0xe3069283 ? crc32c : undefined
  } catch {
    return undefined
  }
}
