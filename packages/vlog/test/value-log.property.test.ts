import { crc32c } from '@wk/codec'
import { ManualRuntime, MemoryFileSystem } from '@wk/fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ValueLog, type ValueLogOptions } from '../src/index.js'
import { mulberry, RUNS, SEED } from './support/bytes.js'
import { collect, DIR, entryOf, lineOf, newMemory, type Kept } from './support/memory-log.js'

type Step =
  | { do: 'append'; group: number; maxValue: number; sync: boolean; wait: boolean; isText: boolean }
  | { do: 'read' | 'readMany' | 'iterate' | 'sync' | 'seal' | 'reopen' | 'verify' | 'relocate' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      group: fc.integer({ min: 0, max: 12 }),
      maxValue: fc.constantFrom(1, 40, 700, 3000, 9000, 300_000),
      isText: fc.boolean(),
      sync: fc.boolean(),
      wait: fc.boolean(),
    }),
  },
  ...(['read', 'readMany', 'iterate', 'sync', 'seal', 'reopen', 'verify', 'relocate'] as const).map((name) => ({
    weight: 1,
    arbitrary: fc.constant({ do: name }),
  })),
)

/** Drives a log and a plain array side by side. */
class Run {
  readonly kept: Kept[] = []
  readonly #fs: MemoryFileSystem
  readonly #random: () => number
  readonly #options: ValueLogOptions
  #pending: Promise<void>[] = []
  #log!: ValueLog

  constructor(fs: MemoryFileSystem, seed: number, options: ValueLogOptions) {
    this.#fs = fs
    this.#random = mulberry(seed)
    this.#options = options
  }

  async open(): Promise<void> {
    const valueCompression = this.#random() < 0.5 ? 'lz4' : 'none'
    this.#log = await ValueLog.open(DIR, { fs: this.#fs, runtime: new ManualRuntime({ seed: 3 }), maxOpenFiles: 2, valueCompression, ...this.#options })
  }

  async apply(action: Step): Promise<void> {
    const log = this.#log
    if (action.do === 'append') {
      const { isText, maxValue } = action
      const group = Array.from({ length: maxValue > 9000 ? Math.min(3, action.group) : action.group }, () => {
        const entry = entryOf(this.#random, isText || maxValue > 9000 ? 1 : maxValue)
        if (isText || maxValue > 9000) entry.value = new Uint8Array(Math.floor(this.#random() * maxValue)).fill(isText ? 0x20 : maxValue % 251)
        return entry
      })
      const appended = log.append(group, { sync: action.sync }).then((pointers) => {
        expect(pointers).toHaveLength(group.length)
        group.forEach((entry, i) => this.kept.push({ entry, pointer: pointers[i]! }))
      })
      this.#pending.push(appended)
      if (action.wait) await this.settle()
      return
    }
    if (action.do !== 'sync') await this.settle()
    if (action.do === 'read') await this.readSome()
    if (action.do === 'readMany') await this.readMany()
    if (action.do === 'iterate') await this.iterateAll()
    if (action.do === 'sync') await log.sync()
    if (action.do === 'seal') await log.seal()
    if (action.do === 'verify') expect(await log.verify()).toMatchObject({ ok: true, records: this.kept.length })
    if (action.do === 'relocate') await this.relocate()
    if (action.do === 'reopen') {
      await log.close()
      await this.open()
    }
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pending)
    this.#pending = []
  }

  async readSome(): Promise<void> {
    for (let i = 0; i < 5 && this.kept.length > 0; i++) {
      const { entry, pointer } = this.kept[Math.floor(this.#random() * this.kept.length)]!
      expect(lineOf(this.#log.readSync(pointer))).toBe(lineOf(entry))
      expect(lineOf(await this.#log.read(pointer))).toBe(lineOf(entry))
      const { fid, offset, len } = pointer
      const value = this.#log.readValueSync(fid, offset, len, entry.key, entry.version)
      expect(Buffer.compare(value, entry.value)).toBe(0)
      expect(value.constructor).toBe(Uint8Array)
    }
  }

  async readMany(): Promise<void> {
    const chosen = Array.from({ length: 20 }, () => this.kept[Math.floor(this.#random() * this.kept.length)]).filter((one) => one !== undefined)
    const entries = await this.#log.readMany(chosen.map(({ pointer }) => pointer))
    expect(entries.map(lineOf)).toEqual(chosen.map(({ entry }) => lineOf(entry)))
    const streamed = await collect(this.#log.stream(chosen.map(({ pointer }) => pointer), { window: 4 }))
    expect(streamed.map(lineOf)).toEqual(entries.map(lineOf))
    const requests = chosen.map(({ pointer, entry: { key, version } }) => ({ pointer, key, version }))
    const values = await this.#log.readValues(requests)
    expect(values.map((value) => crc32c(value))).toEqual(chosen.map(({ entry }) => crc32c(entry.value)))
  }

  async iterateAll(): Promise<void> {
    const files = this.#log.files()
    const placed = (await Promise.all(files.map(({ fid }) => collect(this.#log.iterate(fid))))).flat()
    const expected = this.inOrder().map(({ entry, pointer }) => `${lineOf(entry)} ${JSON.stringify(pointer)}`)
    expect(placed.map(({ entry, pointer }) => `${lineOf(entry)} ${JSON.stringify(pointer)}`)).toEqual(expected)
  }

  /** Moves every record of a random choice of sealed files. */
  async relocate(): Promise<void> {
    const victims = this.#log.files().filter(({ sealed }) => sealed && this.#random() < 0.5)
    const relocation = await this.#log.createRelocation()
    for (const { fid } of victims) {
      for (const { pointer } of this.inOrder()) if (pointer.fid === fid) await relocation.copy(fid, pointer.offset, pointer.len)
    }
    await relocation.finish()
  }

  inOrder(): Kept[] {
    return [...this.kept].sort((a, b) => a.pointer.fid - b.pointer.fid || a.pointer.offset - b.pointer.offset)
  }

  async finish(): Promise<void> {
    await this.settle()
    await this.#log.close()
    await this.open()
    for (const { entry, pointer } of this.kept) expect(lineOf(this.#log.readSync(pointer))).toBe(lineOf(entry))
    expect(this.#log.cutBytes).toBe(0)
    await this.#log.close()
  }
}

describe('a value log against a plain array', () => {
  test('append, read, iterate, seal, relocate, reopen in any order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.nat(),
        fc.constantFrom(4096, 20_000, 2 ** 30),
        fc.constantFrom(1, 10, 1_000_000),
        fc.constantFrom(undefined, new Uint8Array(16).fill(1), new Uint8Array(32).fill(2)),
        async (steps, seed, fileSize, maxEntries, encryptionKey) => {
          const run = new Run(await newMemory(), seed, { fileSize, maxEntries, encryptionKey })
          await run.open()
          for (const action of steps) await run.apply(action)
          await run.finish()
        },
      ),
      { seed: SEED, numRuns: 200 * RUNS },
    )
  })
})
