/**
 * How long the event loop was held during a phase.
 *
 * Node's histogram records the time between two ticks of a native timer, its interval of one millisecond included; here the
 * interval is taken off, so an idle loop reads as about zero. The harness itself holds the loop for about a millisecond at a time.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'

const RESOLUTION = 1

/** Event-loop delay in milliseconds. */
export interface LoopDelay {
  readonly p99: number
  readonly max: number
}

/** Measures from {@link LoopDelayMonitor.start} to {@link LoopDelayMonitor.stop}. */
export class LoopDelayMonitor {
  private readonly histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION })

  /** Starts. The first tick only sets the clock, so it is waited for: a delay right afterwards counts. */
  async start(): Promise<void> {
    this.histogram.enable()
    await ticks()
  }

  /** Stops, after the tick that sees the last delay. */
  async stop(): Promise<LoopDelay> {
    await ticks()
    this.histogram.disable()
    return {
      p99: Math.max(0, this.histogram.percentile(99) / 1e6 - RESOLUTION),
      max: Math.max(0, this.histogram.max / 1e6 - RESOLUTION),
    }
  }
}

async function ticks(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setTimeout(resolve, 2 * RESOLUTION))
}
