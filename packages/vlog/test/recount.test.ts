import { AbortedError, CorruptionError } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import type { PointerLookup, ValueLog, ValuePointer } from '../src/index.js'
import { SEED, hex, mulberry } from './support/bytes.js'
import { failureOf, newMemory, openLog, placeFile, readFile } from './support/memory-log.js'
import type { MemoryFileSystem } from '@wk/fs'

/** A host with a Map, that overwrites and deletes. */
class Host {
  readonly index = new Map<string, ValuePointer>()
  readonly dead: ValuePointer[] = []
  readonly log: ValueLog
  readonly reports: boolean

  constructor(log: ValueLog, reports: boolean) {
    this.log = log
    this.reports = reports
  }

  async put(key: string, value: string): Promise<void> {
    const [pointer] = await this.log.append([{ key, value }])
    this.replace(key, pointer)
  }

  replace(key: string, pointer: ValuePointer | undefined): void {
    const name = hex(Buffer.from(key))
    const old = this.index.get(name)
    if (pointer === undefined) this.index.delete(name)
    else this.index.set(name, pointer)
    if (old === undefined) return
    this.dead.push(old)
    if (this.reports) this.log.discard(old)
  }

  readonly lookup: PointerLookup = (keys) => keys.map((key) => this.index.get(hex(key)))

  garbage(): Map<number, number> {
    const bytes = new Map<number, number>()
    for (const { fid, len } of this.dead) bytes.set(fid, (bytes.get(fid) ?? 0) + len)
    return bytes
  }
}

function figures(log: ValueLog): Map<number, number> {
  return new Map(log.files().filter(({ discardBytes = 0 }) => discardBytes > 0).map(({ fid, discardBytes = 0 }) => [fid, discardBytes]))
}

async function churn(host: Host, rounds = 400, seed = SEED): Promise<void> {
  const random = mulberry(seed)
  for (let i = 0; i < rounds; i++) {
    const key = `key ${Math.floor(random() * 50)}`
    if (random() < 0.2) host.replace(key, undefined)
    else await host.put(key, 'x'.repeat(Math.floor(random() * 200)))
  }
}

async function prepare(reports: boolean, encryptionKey?: Uint8Array): Promise<{ fs: MemoryFileSystem; log: ValueLog; host: Host }> {
  const fs = await newMemory()
  const log = await openLog(fs, { maxEntries: 30, fileSize: 1 << 20, encryptionKey })
  return { fs, log, host: new Host(log, reports) }
}

describe('recountDiscards', () => {
  test.each([undefined, new Uint8Array(24)])('finds what was never reported; equal to reports; key %o', async (encryptionKey) => {
    const { log, host } = await prepare(false, encryptionKey)
    await churn(host)
    expect(figures(log).size).toBe(0)
    const found = await log.recountDiscards(host.lookup)
    expect(figures(log)).toEqual(host.garbage())
    expect(found).toEqual({ records: host.dead.length, bytes: host.dead.reduce((sum, { len }) => sum + len, 0) })
    await log.close()
  })

  test('after a crash, which forgets reports, figures are exact again, and stay so over a clean close', async () => {
    const { fs, log, host } = await prepare(true)
    await churn(host)
    await log.sync()
    const crashed = await openLog(fs.crashClone('P1'), { maxEntries: 30, fileSize: 1 << 20 })
    const forgotten = figures(crashed)
    for (const [fid, bytes] of forgotten) expect(bytes).toBeLessThanOrEqual(host.garbage().get(fid) ?? 0)
    expect(forgotten.size).toBe(0)
    const steps: number[] = []
    await crashed.recountDiscards(async (keys) => host.lookup(keys), { onProgress: ({ done }) => steps.push(done) })
    expect(figures(crashed)).toEqual(host.garbage())
    expect(steps.length).toBe(crashed.files().length)
    await crashed.close()
    await log.close()
  })

  test('too high a figure comes down', async () => {
    const { log, host } = await prepare(true)
    await churn(host)
    log.setDiscarded(1, 1, 1_000_000)
    await log.recountDiscards(host.lookup)
    expect(figures(log)).toEqual(host.garbage())
    await log.close()
  })

  test('what dies meanwhile counts once: exactly with an index that answers at once, never too high otherwise', async () => {
    for (const isAsync of [false, true]) {
      const { log, host } = await prepare(true)
      await churn(host, 1500)
      let calls = 0
      const counting = log.recountDiscards((keys) => {
        const answer = host.lookup(keys)
        calls++
        return isAsync ? Promise.resolve(answer) : answer
      })
      await churn(host, 600, SEED + 1)
      await counting
      expect(calls).toBeGreaterThan(10)
      const garbage = host.garbage()
      for (const { fid, discardBytes = 0 } of log.files()) {
        expect(discardBytes).toBeLessThanOrEqual(garbage.get(fid) ?? 0)
        if (!isAsync) expect(discardBytes, `file ${fid}`).toBe(garbage.get(fid) ?? 0)
      }
      await log.close()
    }
  })

  test('damage, abort, a failing index: the figure of that file stays', async () => {
    const { fs, log, host } = await prepare(true)
    await churn(host)
    await log.close()
    const bytes = readFile(fs, '000002.vlog')
    bytes[60]! ^= 1
    await placeFile(fs, '000002.vlog', bytes)
    const again = await openLog(fs, { maxEntries: 30, fileSize: 1 << 20 })
    const before = figures(again)
    expect(await failureOf(again.recountDiscards(host.lookup))).toBeInstanceOf(CorruptionError)
    expect(await failureOf(again.recountDiscards(host.lookup, { signal: AbortSignal.abort() }))).toBeInstanceOf(AbortedError)
    expect(await failureOf(again.recountDiscards(() => { throw new Error('of the index') }))).toMatchObject({ message: 'of the index' })
    expect(figures(again)).toEqual(before)
    const first = again.recountDiscards(async (keys) => host.lookup(keys))
    expect(await failureOf(again.recountDiscards(host.lookup))).toMatchObject({ code: 'WK_GC_RUNNING' })
    await failureOf(first)
    await again.close()
  })
})
