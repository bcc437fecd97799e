/**
 * Runs the phases of a workload one after another and keeps their results; reports progress on the way.
 */
import { AnonymousPeak } from '../measure/memory.js'
import { diskUsage } from '../measure/disk-usage.js'
import { Meter } from '../measure/meter.js'
import { readProcessIo, type ProcessIo } from '../measure/process-io.js'
import type { SpaceSample } from '../measure/space-sampler.js'
import type { TimeSlice } from '../measure/time-slice.js'
import type { PhaseResult } from '../report/result.js'

/** Where a workload tells how far it is. */
export interface Observer {
  onProgress(title: string, done: number, total: number): void
  onPhase(result: PhaseResult): void
}

/** What a phase is, apart from its work. */
export interface PhaseDescription {
  readonly name: string
  readonly title: string
  /** What one latency sample is. */
  readonly sample: string
  readonly writes?: boolean
  readonly total: number
}

/** Handed to the work of a phase. */
export interface PhaseWork {
  readonly meter: Meter
  /** Figures beyond what every phase has, by name: to be filled by the work. */
  readonly figures: Record<string, number>
  /** Disk space over time, if the work samples it. */
  space: readonly SpaceSample[]
  /** Tells how much is done, of the description's `total`. Reads the clock: not for every operation of a fast loop. */
  progress(done: number): void
}

/** What a process had done, and held, at a moment. */
export interface Moment {
  readonly time: number
  readonly io: ProcessIo | null
  readonly resident: number
}

const PROGRESS_INTERVAL = 100

/** Results of the phases so far. */
export class PhaseRunner {
  readonly results: PhaseResult[] = []
  /** When the first phase began. What comes before it, warming up, is not part of the run. */
  begun: Moment = moment()
  readonly anonymous = new AnonymousPeak()
  private readonly slice: TimeSlice
  private readonly observer: Observer

  constructor(slice: TimeSlice, observer: Observer) {
    this.slice = slice
    this.observer = observer
  }

  /**
   * Runs one phase. `work` may return a note for the report. `dir` is the database's directory, `liveBytes` tells the user bytes
   * alive when the phase is over.
   */
  async run(
    phase: PhaseDescription,
    dir: string,
    liveBytes: () => number,
    work: (phase: PhaseWork) => Promise<string | undefined | void>,
  ): Promise<void> {
    if (this.results.length === 0) this.begun = moment()
    const start = performance.now()
    let told = 0
    const progress = (done: number): void => {
      const now = performance.now()
      if (now - told < PROGRESS_INTERVAL && done < phase.total) return
      told = now
      this.anonymous.sample()
      this.observer.onProgress(phase.title, done, phase.total)
    }
    progress(0)
    const meter = await Meter.start(this.slice)
    const handed: PhaseWork = { meter, progress, figures: {}, space: [] }
    const note = await work(handed)
    const measurement = await meter.stop(phase.sample)
    progress(phase.total)
    const result: PhaseResult = {
      name: phase.name,
      title: phase.title,
      writes: phase.writes ?? false,
      ...measurement,
      wallSeconds: (performance.now() - start) / 1e3,
      diskBytes: diskUsage(dir),
      liveBytes: liveBytes(),
      note: note ?? null,
      ...(Object.keys(handed.figures).length === 0 ? {} : { figures: handed.figures }),
      ...(handed.space.length === 0 ? {} : { space: handed.space }),
    }
    this.results.push(result)
    this.observer.onPhase(result)
  }
}

function moment(): Moment {
  return { time: performance.now(), io: readProcessIo(), resident: process.memoryUsage.rss() }
}
