/** Reverse walks over keys with many versions, in several memtables, against a list. */
import { KIND_TOMBSTONE, KIND_VALUE } from '@wk/codec'
import { Memtable } from '@wk/memtable'
import { Rng } from '@wk/testkit'
import { expect, it } from 'vitest'
import { MergingCursor } from '../src/iterator/merging-cursor.js'
import { VisibleCursor } from '../src/iterator/visible-cursor.js'

const text = new TextEncoder()
for (let seed = 1; seed <= 40; seed++) it(`reverse walks over keys with many versions, seed ${seed}`, () => {
  const rng = new Rng(seed)
  const tables = Array.from({ length: rng.between(1, 3) }, () => new Memtable({ capacity: 1 << 20 }))
  const entries: { key: string; seq: number; value: string | undefined }[] = []
  const count = rng.between(300, 2000)
  let seq = 0
  for (let i = 0; i < count; i++) {
    seq += rng.pick([1, 1, 1, 50, 100000])
    const key = rng.pick(['a', 'b', 'b', 'b', 'b', 'c'])
    const value = rng.chance(0.1) ? undefined : `${seq}`
    const table = tables[tables.length - 1 - Math.floor((i * tables.length) / count)]!
    table.add(text.encode(key), seq, value === undefined ? KIND_TOMBSTONE : KIND_VALUE, text.encode(value ?? ''))
    entries.push({ key, seq, value })
  }
  for (let n = 0; n < 30; n++) {
    const at = rng.chance(0.2) ? 2 ** 48 - 1 : rng.pick(entries).seq - rng.pick([0, 0, 1])
    const want: string[] = []
    for (const key of ['c', 'b', 'a']) {
      const v = entries.findLast((e) => e.key === key && e.seq <= at)
      if (v?.value !== undefined) want.push(`${key}=${v.value}`)
    }
    const cursor = new VisibleCursor(new MergingCursor(tables.map((t) => t.cursor()), true), { sequence: at, now: 0, reverse: true })
    const got: string[] = []
    for (cursor.first(); cursor.valid || cursor.paused; cursor.paused ? cursor.resume() : cursor.next())
      if (cursor.valid) got.push(`${String.fromCharCode(cursor.keyBytes[cursor.keyStart]!)}=${Buffer.from(cursor.valueBytes.subarray(cursor.valueStart, cursor.valueEnd)).toString()}`)
    expect(got).toEqual(want)
  }
})
