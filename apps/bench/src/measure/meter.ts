/**
 * Measures one phase: operations, bytes, time, latency, event-loop delay, bytes written.
 *
 * Time of a phase is time inside engine calls plus the pauses in which the event loop turned (in-line background work of an
 * engine happens there). Time the harness takes to read source files, compare and generate is not in it. For phases with
 * many operations in flight, calls overlap and the time is the clock's.
 */
import { LatencyRecorder, type LatencySummary } from './latency.js'
import { LoopDelayMonitor, type LoopDelay } from './loop-delay.js'
import { ioBetween, readProcessIo, type ProcessIo } from './process-io.js'
import type { TimeSlice } from './time-slice.js'

/** What a meter found. */
export interface Measurement {
  readonly operations: number
  /** User bytes moved: keys and values. */
  readonly bytes: number
  readonly seconds: number
  /** Processor time of the whole process, all threads, the harness's own work included. */
  readonly cpuSeconds: number
  readonly latency: LatencySummary | null
  readonly loopDelay: LoopDelay
  readonly written: ProcessIo | null
}

/** Counts for one phase; make one per phase with {@link Meter.start}. */
export class Meter {
  operations = 0
  bytes = 0
  private clock: number | undefined
  private readonly latency = new LatencyRecorder()
  private readonly loop = new LoopDelayMonitor()
  private readonly slice: TimeSlice
  private readonly before: ProcessIo | null
  private cpu = process.cpuUsage()

  private constructor(slice: TimeSlice) {
    this.slice = slice
    this.before = readProcessIo()
  }

  /** Begins a phase. */
  static async start(slice: TimeSlice): Promise<Meter> {
    const meter = new Meter(slice)
    await meter.loop.start()
    slice.takeSpent()
    meter.cpu = process.cpuUsage()
    return meter
  }

  /** Adds an engine call that took `milliseconds`. */
  add(milliseconds: number, operations: number, bytes: number): void {
    this.latency.add(milliseconds)
    this.operations += operations
    this.bytes += bytes
  }

  /** Overlapping calls: the phase took this long by the clock, whatever the single calls sum up to. */
  setClock(milliseconds: number): void {
    this.clock = milliseconds
  }

  /** Ends the phase. `of` says what one latency sample is. */
  async stop(of: string): Promise<Measurement> {
    const pauses = this.slice.takeSpent()
    const cpu = process.cpuUsage(this.cpu)
    const written = ioBetween(this.before, readProcessIo())
    // Before the samples are summed up: sorting them holds the event loop itself.
    const loopDelay = await this.loop.stop()
    return {
      operations: this.operations,
      bytes: this.bytes,
      seconds: (this.clock ?? this.latency.total + pauses) / 1e3,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      latency: this.latency.summarize(of),
      loopDelay,
      written,
    }
  }
}
