/**
 * Latencies of one phase. Samples go into a flat array while the phase runs and into an HDR histogram when it is over, so that
 * recording costs next to nothing.
 */
import { createHistogram } from 'node:perf_hooks'

/** Summary of latencies, in microseconds. `of` says what one sample is: a single operation, a batch, a chunk of a scan. */
export interface LatencySummary {
  readonly of: string
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Collects latencies in milliseconds. */
export class LatencyRecorder {
  private samples = new Float64Array(1024)
  private count = 0
  private sum = 0

  /** Adds one sample, in milliseconds. */
  add(milliseconds: number): void {
    if (this.count === this.samples.length) {
      const grown = new Float64Array(this.samples.length * 2)
      grown.set(this.samples)
      this.samples = grown
    }
    this.samples[this.count++] = milliseconds
    this.sum += milliseconds
  }

  /** Sum of all samples, in milliseconds. */
  get total(): number {
    return this.sum
  }

  /** The summary, or null if there is no sample. */
  summarize(of: string): LatencySummary | null {
    if (this.count === 0) return null
    const histogram = createHistogram()
    for (let i = 0; i < this.count; i++) histogram.record(Math.max(1, Math.round((this.samples[i] ?? 0) * 1e6)))
    return {
      of,
      count: this.count,
      mean: (this.sum / this.count) * 1e3,
      p50: histogram.percentile(50) / 1e3,
      p99: histogram.percentile(99) / 1e3,
      max: histogram.max / 1e3,
    }
  }
}
