/** Disk space of a database over time: a figure at the end says nothing about the worst moment. */
import { diskUsage } from './disk-usage.js'

const INTERVAL = 100

/** One reading. */
export interface SpaceSample {
  /** Since sampling began. */
  readonly seconds: number
  readonly diskBytes: number
  readonly liveBytes: number
}

/** Takes a reading ten times a second, from {@link SpaceSampler.start} to {@link SpaceSampler.stop}; a held event loop delays it. */
export class SpaceSampler {
  private readonly dir: string
  private readonly liveBytes: () => number
  private readonly samples: SpaceSample[] = []
  private begun = 0
  private timer: NodeJS.Timeout | undefined

  constructor(dir: string, liveBytes: () => number) {
    this.dir = dir
    this.liveBytes = liveBytes
  }

  start(): void {
    this.begun = performance.now()
    this.take()
    this.timer = setInterval(() => this.take(), INTERVAL)
  }

  /** Takes a last reading and returns all of them. */
  stop(): readonly SpaceSample[] {
    clearInterval(this.timer)
    this.take()
    return this.samples
  }

  private take(): void {
    this.samples.push({ seconds: (performance.now() - this.begun) / 1e3, diskBytes: diskUsage(this.dir), liveBytes: this.liveBytes() })
  }
}

/** Disk bytes for each live byte at the worst of these moments; NaN if there is none. */
export function worstSpaceAmp(samples: readonly SpaceSample[]): number {
  return samples.length === 0 ? NaN : Math.max(...samples.map(spaceAmpOf))
}

/** Disk bytes for each live byte at this moment. */
export function spaceAmpOf({ diskBytes, liveBytes }: SpaceSample): number {
  return diskBytes / liveBytes
}
