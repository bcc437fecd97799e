/**
 * `@wk/gc/testing`: the conformance suite of hosts that keep pointers into a value log.
 *
 * A host that passes may be collected beside live writes and across crashes: after any interleaving of put, overwrite,
 * delete, collection, reopening and crash each key reads its last value. Knows no test framework.
 *
 * @packageDocumentation
 */

import { History } from './testing/history.js'
import { HOST_RULES } from './testing/host-rules.js'
import type { PointerHostStore, PointerHostSuiteOptions, TestFunctions } from './testing/host.js'
import { INDEX_RULES } from './testing/index-rules.js'

export { ConformanceError } from './testing/model.js'
export { scheduleIndex, scheduleValueLog } from './testing/scheduled.js'
export type { AwaitHook } from './testing/scheduled.js'
export type {
  LiveBytesAccounts,
  PointerHost,
  PointerHostParts,
  PointerHostStore,
  PointerHostSuiteOptions,
  TestFunctions,
} from './testing/host.js'

/**
 * Declares the suite for the host that `createStore` makes; called once a test, each time for an empty store.
 *
 * ```ts
 * import { describe, it } from 'vitest'
 * testPointerHost({ describe, it }, 'my store', async () => new MyStore())
 * ```
 */
export function testPointerHost(
  { describe, it }: TestFunctions,
  name: string,
  createStore: () => Promise<PointerHostStore>,
  { runs = 20, seed = 1, steps = 60 }: PointerHostSuiteOptions = {},
): void {
  const withStore = async (body: (store: PointerHostStore) => Promise<void>): Promise<void> => {
    const store = await createStore()
    await body(store)
    await store.destroy?.()
  }
  describe(`${name}: pointer host`, () => {
    for (const rule of HOST_RULES) it(rule.name, () => withStore(rule.check))
    for (let run = 0; run < runs; run++) {
      it(`random history, seed ${seed + run}`, () => withStore((store) => History.play(store, seed + run, steps)))
    }
  })
  describe(`${name}: pointer index`, () => {
    for (const rule of INDEX_RULES) {
      it(rule.name, () =>
        withStore(async (store) => {
          if (await hasParts(store)) await rule.check(store)
        }),
      )
    }
  })
}

/** Opens the empty store once to see what it offers. */
async function hasParts(store: PointerHostStore): Promise<boolean> {
  const host = await store.open()
  const answer = host.parts !== undefined
  await host.close()
  return answer
}
