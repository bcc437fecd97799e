/**
 * What long calls (`gc`, `compact`, `verify`, `clear`) take and tell.
 */

/** How far a long call has come. */
export interface Progress {
  /** What it is doing now. */
  phase: string
  /** Steps done, of {@link total}; what a step is depends on the phase. */
  done: number
  total: number
  /** Bytes read or moved so far. */
  bytes: number
}

export interface MaintenanceOptions {
  /** Aborting it ends the call with `WK_ABORTED` at the next safe point. */
  signal?: AbortSignal | undefined
  /** Called now and then, on the calling thread; it must not throw. */
  onProgress?: ((progress: Progress) => void) | undefined
}
