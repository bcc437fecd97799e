/**
 * An I/O error at every operation of a pass, once or from then on: a typed error or success, every key reads its value,
 * and what is on the disk opens with all that was durable before.
 */
import { WkError, errnoOf } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { DurableHost } from './support/durable-host.js'
import { bytesOf, textOf } from './support/map-index.js'

const DIR = '/store'
const KEYS = Array.from({ length: 8 }, (_, n) => `k${n}`)

async function churned(fs: FaultFileSystem): Promise<Map<string, string>> {
  const expected = new Map<string, string>()
  const host = await DurableHost.open({ fs, dir: DIR })
  for (let round = 0; round < 3; round++) {
    for (const key of KEYS) {
      expected.set(key, `${key} round ${round} `.padEnd(400, 'x'))
      await host.put(bytesOf(key), bytesOf(expected.get(key)!))
    }
  }
  await host.delete(bytesOf('k1'))
  expected.delete('k1')
  await host.close()
  return expected
}

async function expectContents(host: DurableHost, expected: Map<string, string>): Promise<void> {
  for (const key of KEYS) {
    const value = await host.get(bytesOf(key))
    expect(value && textOf(value)).toBe(expected.get(key))
  }
}

it.each([
  ['once', 1],
  ['for ever', Number.POSITIVE_INFINITY],
])('an operation of a pass fails %s', async (_name, times) => {
  let failures = 0
  for (let index = 0; ; index++) {
    const inner = new MemoryFileSystem()
    const fs = new FaultFileSystem(inner)
    const expected = await churned(fs)
    const host = await DurableHost.open({ fs, dir: DIR })
    const before = fs.injected.length
    fs.add({ index, times, errno: 'EIO' })
    const error = await host.collect({ discardRatio: 0.2 }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    const reached = fs.injected.length > before
    fs.clear()
    if (error !== undefined) {
      failures++
      expect(error, `operation ${index}`).toBeInstanceOf(WkError)
      expect(errnoOf(error), `operation ${index}`).toBe('EIO')
      expect(host.gc.running).toBe(false)
    }
    await expectContents(host, expected)
    const reopened = await DurableHost.open({ fs: inner.crashClone('P0', index), dir: DIR })
    await expectContents(reopened, expected)
    await reopened.close()
    await host.close().catch(() => undefined)
    if (!reached) break
  }
  expect(failures).toBeGreaterThan(20)
})
