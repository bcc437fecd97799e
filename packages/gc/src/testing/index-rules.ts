/**
 * The rules of `PointerIndex`, one check each, on the host's own two functions. Each check gets a fresh store.
 */

import { encodePointer, samePointer, type ValuePointer } from '@wk/codec'
import { GarbageCollector } from '../collector.js'
import type { PointerIndex, PointerMove } from '../pointer-index.js'
import type { GcValueLog } from '../value-log.js'
import { bytesOf, textOf, valueOf } from './bytes.js'
import { ignoreNothingToDo } from './history.js'
import type { PointerHost, PointerHostStore } from './host.js'
import { check } from './model.js'

export interface IndexRule {
  readonly name: string
  readonly check: (store: PointerHostStore) => Promise<void>
}

/** A host with some keys, and the means to make moves for them. */
class Subject {
  readonly host: PointerHost
  readonly vlog: GcValueLog
  readonly index: PointerIndex

  private constructor(host: PointerHost, vlog: GcValueLog, index: PointerIndex) {
    this.host = host
    this.vlog = vlog
    this.index = index
  }

  static async open(store: PointerHostStore, keys: readonly string[] = []): Promise<Subject> {
    const host = await store.open()
    const { parts } = host
    check(parts !== undefined, 'the host says it has parts and then has none')
    for (const key of keys) await host.put(bytesOf(key), bytesOf(valueOf(key, 1)))
    return new Subject(host, parts.vlog, parts.index)
  }

  async pointer(key: string): Promise<ValuePointer | undefined> {
    return (await this.index.lookup([bytesOf(key)]))[0] ?? undefined
  }

  /** A copy of `value` under `key` that nothing points to yet. */
  async copyOf(key: string, value: string): Promise<ValuePointer> {
    const entry = { key: bytesOf(key), value: bytesOf(value), version: 0, meta: 0, userMeta: 0, expiresAt: 0 }
    const [pointer] = await this.vlog.append([entry])
    await this.vlog.sync()
    check(pointer !== undefined, 'append answered no pointer')
    return pointer
  }

  async moveOf(key: string, value: string): Promise<PointerMove> {
    const from = await this.pointer(key)
    check(from !== undefined, `lookup does not know ${key}`)
    return { key: bytesOf(key), from, to: await this.copyOf(key, value) }
  }

  async reads(key: string): Promise<string | undefined> {
    const value = await this.host.get(bytesOf(key))
    return value === undefined ? undefined : textOf(value)
  }
}

export const INDEX_RULES: readonly IndexRule[] = [
  {
    name: 'lookup answers in the order of the keys, undefined for absent ones',
    check: async (store) => {
      const subject = await Subject.open(store, ['a', 'c', 'e'])
      const pointers = await subject.index.lookup(['a', 'b', 'c', 'd', 'e'].map(bytesOf))
      check(pointers.length === 5, 'one answer a key')
      check((pointers[1] ?? undefined) === undefined && (pointers[3] ?? undefined) === undefined, 'absent is undefined')
      const distinct = new Set([0, 2, 4].map((at) => encodePointer(pointers[at] as ValuePointer).join()))
      check(distinct.size === 3, 'each key has its own pointer')
      check((await subject.index.lookup([])).length === 0, 'no key, no answer')
      await subject.host.close()
    },
  },
  {
    name: 'compareAndSwap moves a pointer that is current',
    check: async (store) => {
      const subject = await Subject.open(store, ['a'])
      const move = await subject.moveOf('a', 'moved')
      check((await subject.index.compareAndSwap([move]))[0] === true, 'the swap is won')
      const current = await subject.pointer('a')
      check(current !== undefined && samePointer(current, move.to), 'lookup answers the new pointer')
      check((await subject.reads('a')) === 'moved', 'reads follow it')
      await subject.host.close()
    },
  },
  {
    name: 'compareAndSwap compares all three fields',
    check: async (store) => {
      const subject = await Subject.open(store, ['a'])
      const { key, from, to } = await subject.moveOf('a', 'moved')
      for (const other of [
        { ...from, fid: from.fid + 1 },
        { ...from, offset: from.offset + 1 },
        { ...from, len: from.len + 1 },
      ]) {
        check((await subject.index.compareAndSwap([{ key, from: other, to }]))[0] === false, 'a near miss loses')
      }
      check((await subject.reads('a')) === valueOf('a', 1), 'nothing changed')
      await subject.host.close()
    },
  },
  {
    name: 'compareAndSwap loses to an overwrite and never brings a deleted or absent key back',
    check: async (store) => {
      const subject = await Subject.open(store, ['a', 'b'])
      const overwritten = await subject.moveOf('a', 'stale')
      const deleted = await subject.moveOf('b', 'stale')
      await subject.host.put(bytesOf('a'), bytesOf(valueOf('a', 2)))
      await subject.host.delete(bytesOf('b'))
      const absent = { ...deleted, key: bytesOf('c') }
      const won = await subject.index.compareAndSwap([overwritten, deleted, absent])
      check(won.length === 3 && won.every((value) => value === false), 'all three lose')
      check((await subject.reads('a')) === valueOf('a', 2), 'the overwrite stays')
      check((await subject.reads('b')) === undefined, 'the deleted key stays deleted')
      check((await subject.reads('c')) === undefined, 'the absent key stays absent')
      await subject.host.close()
    },
  },
  {
    name: 'compareAndSwap decides each move on its own, and takes none',
    check: async (store) => {
      const subject = await Subject.open(store, ['a', 'b', 'c'])
      const moves = [await subject.moveOf('a', 'a2'), await subject.moveOf('b', 'b2'), await subject.moveOf('c', 'c2')]
      await subject.host.delete(bytesOf('b'))
      const won = await subject.index.compareAndSwap(moves)
      check(won[0] === true && won[1] === false && won[2] === true, 'only the deleted key loses')
      check((await subject.reads('a')) === 'a2' && (await subject.reads('c')) === 'c2', 'the others moved')
      check((await subject.index.compareAndSwap([])).length === 0, 'no move, no answer')
      await subject.host.close()
    },
  },
  {
    name: 'compareAndSwap does not report garbage: that is for the collector',
    check: async (store) => {
      const subject = await Subject.open(store, ['a', 'b'])
      const moves = [await subject.moveOf('a', 'a2'), await subject.moveOf('b', 'b2')]
      await subject.host.delete(bytesOf('b'))
      const before = discardedBytes(subject.vlog)
      await subject.index.compareAndSwap(moves)
      check(discardedBytes(subject.vlog) === before, 'discard statistics are unchanged')
      await subject.host.close()
    },
  },
  {
    name: 'a put that is under way when a pass begins is not taken for garbage',
    check: async (store) => {
      const subject = await Subject.open(store)
      const gc = new GarbageCollector(subject)
      for (let round = 0; round < 8; round++) {
        for (let n = 0; n < 4; n++) await subject.host.put(bytesOf('old'), bytesOf(valueOf('old', n)))
        const names = Array.from({ length: 4 }, (_, n) => `late ${round} ${n}`)
        const puts = names.map((name) => subject.host.put(bytesOf(name), bytesOf(valueOf(name, round))))
        await ignoreNothingToDo(gc.run({ discardRatio: 0.01, sealActive: true, liveBytes: () => 0 }))
        await Promise.all(puts)
        for (const name of names) check((await subject.reads(name)) === valueOf(name, round), `${name} is lost`)
      }
      await subject.host.close()
    },
  },
  {
    name: 'swaps, and what lookup answered before an empty swap, are there after a crash',
    check: async (store) => {
      const subject = await Subject.open(store, ['a', 'b', 'c'])
      await subject.host.flush?.()
      await subject.index.compareAndSwap([await subject.moveOf('a', 'moved')])
      await subject.host.put(bytesOf('b'), bytesOf(valueOf('b', 2)))
      await subject.host.delete(bytesOf('c'))
      await subject.index.lookup(['a', 'b', 'c'].map(bytesOf))
      await subject.vlog.sync()
      await subject.index.compareAndSwap([])
      if (store.crash === undefined) await subject.host.close()
      else await store.crash()
      const reopened = await Subject.open(store)
      check((await reopened.reads('a')) === 'moved', 'the swap is durable')
      check((await reopened.reads('b')) === valueOf('b', 2), 'the overwrite that lookup saw is durable')
      check((await reopened.reads('c')) === undefined, 'the delete that lookup saw is durable')
      await reopened.host.close()
    },
  },
]

function discardedBytes(vlog: GcValueLog): number {
  return vlog.files().reduce((sum, file) => sum + (file.discardBytes ?? 0), 0)
}
