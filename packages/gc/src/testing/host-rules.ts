/**
 * What holds for every host that collects, however it does it. Each check gets a fresh store.
 */

import { GcRunningError, InvalidArgumentError, NoRewriteError } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import { bytesOf, textOf, valueOf } from './bytes.js'
import { ignoreNothingToDo } from './history.js'
import type { PointerHost, PointerHostStore } from './host.js'
import { ModelledHost, check } from './model.js'

export interface HostRule {
  readonly name: string
  readonly check: (store: PointerHostStore) => Promise<void>
}

const KEYS = Array.from({ length: 40 }, (_, n) => `k${n}`)

/** Forty keys written three times, a quarter of them deleted: plenty of garbage in every file but the newest. */
async function churned(store: PointerHostStore): Promise<ModelledHost> {
  const model = new ModelledHost(await store.open())
  for (let version = 1; version <= 3; version++) {
    for (const key of KEYS) await model.put(key, valueOf(key, version))
  }
  for (const [n, key] of KEYS.entries()) if (n % 4 === 0) await model.delete(key)
  return model
}

export const HOST_RULES: readonly HostRule[] = [
  {
    name: 'collecting finds garbage, ends, and changes nothing that is read',
    check: async (store) => {
      const model = await churned(store)
      let filesCollected = 0
      for (let pass = 0; pass < 200; pass++) {
        const collected = await collectOnce(model.host, 0.3)
        if (collected === 0) break
        filesCollected += collected
        check(pass < 199, 'repeated passes must come to an end')
      }
      check(filesCollected > 0, 'something must have been collected')
      await model.verify(KEYS, 'after collecting')
      await model.verifyAccounts('after collecting')
      await model.host.close()
    },
  },
  {
    name: 'collected and reopened: every key reads its last value, deleted ones none',
    check: async (store) => {
      const model = await churned(store)
      await ignoreNothingToDo(model.host.collect({ discardRatio: 0.1 }))
      await model.host.close()
      const reopened = new ModelledHost(await store.open(), model.expected)
      await reopened.verify(KEYS, 'after reopening')
      await reopened.verifyAccounts('after reopening')
      await reopened.host.close()
    },
  },
  {
    name: 'reads beside a pass answer as without it',
    check: async (store) => {
      const model = await churned(store)
      let isRunning = true
      const pass = ignoreNothingToDo(model.host.collect({ discardRatio: 0.05 })).finally(() => (isRunning = false))
      pass.catch(() => undefined)
      while (isRunning) {
        const values = await Promise.all(KEYS.map((key) => model.host.get(bytesOf(key))))
        // A host that answers without any I/O would otherwise starve the pass for ever.
        await defaultRuntime.yield()
        for (const [at, key] of KEYS.entries()) {
          const value = values[at]
          check((value && textOf(value)) === model.expected.get(key), `key ${key} changed under the pass`)
        }
      }
      await pass
      await model.host.close()
    },
  },
  {
    name: 'deletes and overwrites made during a pass stay',
    check: async (store) => {
      const model = await churned(store)
      const pass = ignoreNothingToDo(model.host.collect({ discardRatio: 0.05 }))
      pass.catch(() => undefined)
      for (const [n, key] of KEYS.entries()) await (n % 2 === 0 ? model.delete(key) : model.put(key, valueOf(key, 9)))
      await pass
      await model.verify(KEYS, 'after the pass')
      await ignoreNothingToDo(model.host.collect({ discardRatio: 0.05 }))
      await model.host.close()
      const reopened = new ModelledHost(await store.open(), model.expected)
      await reopened.verify(KEYS, 'after reopening')
      await reopened.host.close()
    },
  },
  {
    name: 'a ratio outside (0, 1) is refused, a second pass as well',
    check: async (store) => {
      const model = await churned(store)
      for (const discardRatio of [0, 1, -0.5, 1.5, Number.NaN]) {
        const error = await failureOf(model.host.collect({ discardRatio }))
        check(error instanceof InvalidArgumentError, `ratio ${discardRatio} must be WK_INVALID_ARGUMENT`)
      }
      const first = ignoreNothingToDo(model.host.collect({ discardRatio: 0.05 }))
      const second = await failureOf(model.host.collect({ discardRatio: 0.05 }))
      check(second instanceof GcRunningError, 'a second pass must be WK_GC_RUNNING')
      await first
      await model.host.close()
    },
  },
]

async function collectOnce(host: PointerHost, discardRatio: number): Promise<number> {
  try {
    return (await host.collect({ discardRatio })).filesCollected
  } catch (error) {
    if (error instanceof NoRewriteError) return 0
    throw error
  }
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call
  } catch (error) {
    return error
  }
  return undefined
}
