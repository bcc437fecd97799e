/**
 * Writes placed at every await point of a pass, on a log that knows what is synced and what is gone: whatever the
 * interleaving, each key reads its last value, no deleted key comes back, and recounted live bytes equal accounted ones.
 */
import { AbortedError, NoRewriteError } from '@wk/codec'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { GarbageCollector, WriteFence } from '../src/index.js'
import { scheduleIndex, scheduleValueLog } from '../src/testing.js'
import { FakeLog } from './support/fake-log.js'
import { MapHost, textOf } from './support/map-index.js'
import { propertyParameters } from './support/property.js'

interface Write {
  readonly key: number
  readonly isDelete: boolean
  /** Await points of the pass to let go by before it. */
  readonly gap: number
  /** The pass waits for it; otherwise it overlaps the call that follows. */
  readonly isAwaited: boolean
}

const write: fc.Arbitrary<Write> = fc.record({
  key: fc.nat(7),
  isDelete: fc.boolean(),
  gap: fc.nat(9),
  isAwaited: fc.boolean(),
})

const history = fc.record({
  fileSize: fc.constantFrom(100, 300, 700),
  before: fc.array(write, { minLength: 5, maxLength: 60 }),
  passes: fc.array(fc.record({ ratio: fc.constantFrom(0.01, 0.3, 0.6), during: fc.array(write, { maxLength: 25 }) }), {
    minLength: 1,
    maxLength: 4,
  }),
})

it('a pass changes nothing that is read, whatever is written at its await points', async () => {
  let writesInside = 0
  let swapsLost = 0
  await fc.assert(
    fc.asyncProperty(history, async ({ fileSize, before, passes }) => {
      const host = new MapHost(new FakeLog(fileSize))
      const fence = new WriteFence()
      const expected = new Map<string, string>()
      let version = 0
      let tail: Promise<unknown> = Promise.resolve()
      const apply = ({ key, isDelete }: Write): Promise<unknown> => {
        const name = `key ${key}`
        const value = `value ${++version}`.padEnd(20 + (version % 50))
        tail = fence.run(() =>
          tail.then(async () => {
            if (isDelete) host.delete(name)
            else await host.put(name, value)
            if (isDelete) expected.delete(name)
            else expected.set(name, value)
          }),
        )
        return tail
      }
      const verify = (): void => {
        expect(new Set(host.index.map.keys())).toEqual(new Set(expected.keys()))
        for (const [key, value] of expected) expect(textOf(host.vlog.read(host.index.map.get(key)!))).toBe(value)
      }

      for (const each of before) await apply(each)
      for (const { ratio, during } of passes) {
        const pending = [...during]
        let gap = pending[0]?.gap ?? 0
        const hook = async (): Promise<void> => {
          if (gap-- > 0 || pending.length === 0) return
          const next = pending.shift()!
          gap = pending[0]?.gap ?? 0
          writesInside++
          const done = apply(next)
          if (next.isAwaited) await done
        }
        const settled = Object.assign(host.index, { settle: () => fence.settle() })
        const gc = new GarbageCollector({
          vlog: scheduleValueLog(host.vlog, hook),
          index: scheduleIndex(settled, hook),
        })
        await gc.run({ discardRatio: ratio }).catch((error: unknown) => {
          if (!(error instanceof NoRewriteError || error instanceof AbortedError)) throw error
        })
        await tail
        verify()
      }
      swapsLost += host.vlog.discarded.filter(({ fid }) => !host.vlog.retired.includes(fid)).length
      const counted = await new GarbageCollector({ vlog: host.vlog, index: host.index }).recount()
      for (const { fid, sealed, validEnd, discardBytes } of host.vlog.files()) {
        if (sealed) expect(counted.get(fid)).toBe(validEnd - 20 - discardBytes!)
      }
    }),
    propertyParameters('test/interleaving.property.test.ts', 300),
  )
  expect(writesInside).toBeGreaterThan(100)
  expect(swapsLost).toBeGreaterThan(0)
})
