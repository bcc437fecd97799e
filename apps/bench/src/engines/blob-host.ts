/** What the two hosts of `examples/` have in common: values in a value log, and a collection that has to be called. */

/** A value-log file is collected if at least this share of it is garbage: what the article advises. */
export const DISCARD_RATIO = 0.5

/** A pass over one host: false if no file was worth it. */
export function passOf(host: { collect(options: { discardRatio: number }): Promise<unknown> }): () => Promise<boolean> {
  return async () => {
    try {
      await host.collect({ discardRatio: DISCARD_RATIO })
      return true
    } catch (error) {
      if ((error as { code?: string }).code !== 'WK_NO_REWRITE') throw error
      return false
    }
  }
}
