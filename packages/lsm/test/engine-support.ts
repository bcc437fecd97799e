/** A plain engine with small files, the history of what was asked of it, and which of it must survive a crash. */
import { compareBytes } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import { expect } from 'vitest'
import { PlainEngine } from '../src/index.js'
import type { LsmOptions, PlainWrite } from '../src/index.js'

export const DIR = '/db'

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

export function smallOptions(fs: FileSystem): LsmOptions {
  return {
    fs,
    memTableSize: 64 * 1024,
    tableSize: 16 * 1024,
    blockSize: 1024,
    levelBaseSize: 32 * 1024,
    levelSizeMultiplier: 3,
    l0CompactionTrigger: 2,
    compression: 'none',
    blockCacheSize: 64 * 1024,
    maxOpenFiles: 8,
  }
}

export type State = Map<string, string>

/** Everything the engine holds, forward; checked against reverse. */
export function dump(engine: PlainEngine, options: Parameters<PlainEngine['iterate']>[0] = {}): State {
  const state: State = new Map()
  let last: Uint8Array | undefined
  for (const [key, value] of engine.iterate(options)) {
    if (last !== undefined) expect(compareBytes(last, key)).toBeLessThan(0)
    last = key
    state.set(Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1'))
  }
  const backward = [...engine.iterate({ ...options, reverse: true })].map(([key]) => Buffer.from(key).toString('latin1'))
  expect(backward).toEqual([...state.keys()].reverse())
  return state
}

export function sameState(a: State, b: State): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (b.get(key) !== value) return false
  return true
}

/** Batches in call order: how many were called, acknowledged, made durable; the state after each. */
export class History {
  readonly states: State[] = [new Map()]
  acknowledged = 0
  durable = 0

  get called(): number {
    return this.states.length - 1
  }

  get latest(): State {
    return this.states[this.called] ?? new Map<string, string>()
  }

  /** Notes a batch that is about to be called; returns its number. */
  call(writes: readonly PlainWrite[]): number {
    const next = new Map(this.latest)
    for (const { type, key, value } of writes) {
      const name = Buffer.from(key).toString('latin1')
      if (type === 'put') next.set(name, Buffer.from(value ?? []).toString('latin1'))
      else next.delete(name)
    }
    this.states.push(new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1))))
    return this.called
  }

  acknowledge(batch: number, durable: boolean): void {
    this.acknowledged = Math.max(this.acknowledged, batch)
    if (durable) this.durable = Math.max(this.durable, batch)
  }

  /** Number of the batch after which the state was `state`, from `least` on; -1 if there is none. */
  find(state: State, least: number, most = this.called): number {
    for (let batch = most; batch >= least; batch--) if (sameState(this.states[batch] ?? new Map<string, string>(), state)) return batch
    return -1
  }
}
