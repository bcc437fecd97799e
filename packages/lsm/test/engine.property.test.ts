/** The plain engine against a sorted map: puts, deletions, batches, snapshots, ranges, flush, compaction, reopening. */
import { MemoryFileSystem } from '@wk/fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PlainEngine } from '../src/index.js'
import type { PlainSnapshot, PlainWrite } from '../src/index.js'
import { DIR, History, dump, sameState, smallOptions, text } from './engine-support.js'
import type { State } from './engine-support.js'
import { propertyOptions } from './iterator-support.js'

type Step =
  | { type: 'write'; writes: { key: number; length: number; del: boolean }[]; sync: boolean; wait: boolean }
  | { type: 'snapshot' | 'release' | 'flush' | 'compact' | 'reopen' | 'crash' | 'check' }
  | { type: 'range'; from: number; to: number; reverse: boolean }

const write = fc.record({ key: fc.nat({ max: 60 }), length: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 6000 })), del: fc.boolean() })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ type: fc.constant('write' as const), writes: fc.array(write, { minLength: 1, maxLength: 8 }), sync: fc.boolean(), wait: fc.boolean() }) },
  { weight: 12, arbitrary: fc.record({ type: fc.constantFrom('snapshot', 'release', 'flush', 'compact', 'reopen', 'crash', 'check') }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('range' as const), from: fc.nat({ max: 60 }), to: fc.nat({ max: 60 }), reverse: fc.boolean() }) },
)

function nameOf(key: number): string {
  return `key ${String(key).padStart(3, '0')}`
}

class Run {
  readonly history = new History()
  readonly #fs = new MemoryFileSystem()
  #engine: PlainEngine | undefined
  #snapshots: { snapshot: PlainSnapshot; state: State }[] = []
  #pending: Promise<void>[] = []
  #count = 0

  get engine(): PlainEngine {
    if (this.#engine === undefined) throw new Error('not open')
    return this.#engine
  }

  async open(fs = this.#fs): Promise<void> {
    this.#engine = await PlainEngine.open(DIR, smallOptions(fs))
  }

  async take(step: Step): Promise<void> {
    switch (step.type) {
      case 'write':
        return this.#write(step)
      case 'snapshot':
        await this.#settle()
        this.#snapshots.push({ snapshot: this.engine.snapshot(), state: this.history.latest })
        return
      case 'release':
        this.#snapshots.shift()?.snapshot.release()
        return
      case 'flush':
        return this.engine.flush()
      case 'compact':
        return this.engine.compact()
      case 'reopen':
        await this.engine.close()
        return this.#reopened()
      case 'crash':
        // A crash of the process: the lock dies, what was acknowledged does not. The old engine is left behind.
        await this.#settle()
        await this.engine.tree.close({ clean: false })
        await this.engine.close()
        return this.#reopened()
      case 'range':
        return this.#range(step)
      case 'check':
        return this.check()
    }
  }

  async check(): Promise<void> {
    await this.#settle()
    expect(sameState(dump(this.engine), this.history.latest)).toBe(true)
    for (const { snapshot, state } of this.#snapshots) expect(sameState(dump(this.engine, { snapshot }), state)).toBe(true)
    for (let key = 0; key <= 60; key++) {
      const value = this.engine.get(text(nameOf(key)))
      expect(value === undefined ? undefined : Buffer.from(value).toString('latin1')).toBe(this.history.latest.get(nameOf(key)))
    }
  }

  async close(): Promise<void> {
    await this.#settle()
    await this.engine.close()
    await this.#reopened()
    await this.check()
    const problems: unknown[] = []
    await this.engine.tree.verify((problem) => problems.push(problem))
    expect(problems).toEqual([])
    await this.engine.close()
    const left = await this.#fs.list(DIR)
    expect(left.filter((name) => name.endsWith('.wal') || name.endsWith('.tmp'))).toEqual([])
    expect(left.filter((name) => name.startsWith('MANIFEST'))).toHaveLength(1)
  }

  async #reopened(): Promise<void> {
    this.#snapshots = []
    this.#pending = []
    await this.open()
  }

  async #write({ writes, sync, wait }: Extract<Step, { type: 'write' }>): Promise<void> {
    const made = writes.map(({ key, length, del }): PlainWrite => {
      const value = text(`${this.#count++}:`.padEnd(length, 'v'))
      return del ? { type: 'del', key: text(nameOf(key)) } : { type: 'put', key: text(nameOf(key)), value }
    })
    this.history.call(made)
    const written = this.engine.batch(made, { sync })
    this.#pending.push(written)
    if (wait) await written
  }

  #range({ from, to, reverse }: Extract<Step, { type: 'range' }>): Promise<void> {
    return this.#settle().then(() => {
      const [gte, lt] = [nameOf(from), nameOf(to)]
      const expected = [...this.history.latest.keys()].filter((key) => key >= gte && key < lt)
      if (reverse) expected.reverse()
      const seen = [...this.engine.iterate({ gte: text(gte), lt: text(lt), reverse })].map(([key]) => Buffer.from(key).toString('latin1'))
      expect(seen).toEqual(expected)
    })
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#pending.splice(0))
  }
}

test('behaves as a sorted map', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 160, size: 'max' }), async (steps) => {
      const run = new Run()
      await run.open()
      for (const each of steps) await run.take(each)
      await run.close()
    }),
    { ...propertyOptions<[Step[]]>(40), endOnFailure: true },
  )
})
