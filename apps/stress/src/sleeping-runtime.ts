/**
 * A clock that stands still but for what is slept and yielded: nothing waits for the real one, and the same seed does the
 * same. For databases on simulated file systems.
 */
import { ManualRuntime } from '@wk/fs'

/** Sleeping moves the clock. */
export class SleepingRuntime extends ManualRuntime {
  constructor(seed: number) {
    super({ seed, yieldMs: 1 })
  }

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const slept = super.sleep(ms, signal)
    await Promise.all([slept, this.advance(ms)])
  }
}
