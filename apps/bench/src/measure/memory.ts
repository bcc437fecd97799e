/** Resident memory of this process. */
import { readFileSync } from 'node:fs'

/** Bytes resident at the highest moment so far, pages of mapped files included. */
export function peakResident(): number {
  return process.resourceUsage().maxRSS * 1024
}

/** Bytes of anonymous memory resident now: without mapped files, which the kernel can take back. Null where not known. */
export function anonymousResident(): number | null {
  try {
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return kib === undefined ? null : Number(kib) * 1024
  } catch {
    return null
  }
}

/** Remembers the largest reading of {@link anonymousResident}. */
export class AnonymousPeak {
  private peak: number | null = null

  /** Takes a reading. */
  sample(): void {
    const now = anonymousResident()
    if (now !== null && now > (this.peak ?? 0)) this.peak = now
  }

  /** Largest reading in bytes, or null if there was none. */
  get bytes(): number | null {
    return this.peak
  }
}
