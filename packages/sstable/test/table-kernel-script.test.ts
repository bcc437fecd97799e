/** Where there is no WebAssembly the kernel is a script, which makes the same of everything. */
import { spawnSync } from 'node:child_process'
import { KIND_VALUE } from '@wk/codec'
import fc from 'fast-check'
import { afterEach, expect, it, vi } from 'vitest'
import { FilterBuilder } from '../src/bloom-filter.js'
import { ReferenceCollector } from '../src/reference-list.js'
import { preferScript } from '../src/table-kernel.js'
import { merged, sourceOf } from './merged.js'
import { anyKey, anyOptions, anyTable, build, numbered, pointerEntries, runs } from './support.js'
import type { Entry } from './support.js'

afterEach(() => preferScript(false))

/** What `make` makes with the module, and with the script. */
function both<T>(make: () => T): [T, T] {
  preferScript(false)
  const compiled = make()
  preferScript(true)
  return [compiled, make()]
}

it('merges to the same tables', () => {
  fc.assert(
    fc.property(anyTable(80), fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }), anyOptions, anyOptions, fc.boolean(), (entries, deal, from, to, dropsOlder) => {
      const hands: Entry[][] = [[], [], [], []]
      for (const [i, entry] of entries.entries()) hands[deal[i % deal.length]!]!.push(entry)
      const [compiled, script] = both(() => merged(hands.map((hand) => (hand.length === 0 ? sourceOf() : sourceOf(build(hand, from).open()))), { ...to, dropsOlder, tableSize: 2000 }))
      expect(script).toEqual(compiled)
    }),
    runs(150),
  )
})

it('makes the same of long keys and values, and of many references', () => {
  const long = Array.from({ length: 30 }, (_, i): Entry => ({ key: Uint8Array.from([...numbered(i), ...new Uint8Array(i * 2000)]), sequence: 2 ** 40 + i, kind: KIND_VALUE, value: new Uint8Array(i * 30_000).fill(i) }))
  for (const entries of [long, pointerEntries(20_000)]) {
    const [compiled, script] = both(() => merged([sourceOf(build(entries).open())]).tables[0]!)
    expect(script.summary).toEqual(compiled.summary)
    expect(Buffer.compare(script.bytes, compiled.bytes)).toBe(0)
  }
})

it('makes the same filters and reference blocks', () => {
  fc.assert(
    fc.property(fc.array(anyKey, { maxLength: 50 }), fc.constantFrom(1, 7.5, 10, 64), fc.array(fc.tuple(fc.nat(5), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff)), { maxLength: 200 }), (keys, bits, records) => {
      const [compiled, script] = both(() => {
        const filter = new FilterBuilder(bits)
        for (const key of keys) filter.add(key, 0, key.length)
        const references = new ReferenceCollector()
        for (const [fid, offset, length] of records) references.add(fid, offset, length)
        return [filter.finish(), references.finish()]
      })
      expect(script).toEqual(compiled)
    }),
    runs(150),
  )
})

it('is taken where there is no WebAssembly, or no address space for it', () => {
  class Refused {
    constructor() {
      throw new RangeError('WebAssembly.Instance(): Out of memory')
    }
  }
  const wanted = build(pointerEntries(500)).file.bytes
  for (const value of [undefined, { Module: class {}, Instance: Refused }]) {
    preferScript(false)
    vi.stubGlobal('WebAssembly', value)
    try {
      expect(Buffer.compare(merged([sourceOf(build(pointerEntries(500)).open())]).tables[0]!.bytes, wanted)).toBe(0)
    } finally {
      vi.unstubAllGlobals()
    }
  }
})

// The flag is Node's.
it.skipIf('bun' in process.versions || 'deno' in process.versions)('is the one that a process without a just-in-time compiler takes', () => {
  const url = new URL('../dist/index.js', import.meta.url).href
  const code = `
    const { MERGE, TableMerge } = await import(${JSON.stringify(url)})
    const merge = new TableMerge([() => undefined], { blockSize: 4096, restartInterval: 16, dropsOlder: true, showsPointers: false, onLost() {} })
    let step = merge.step()
    while (step === MERGE.PAUSE) step = merge.step()
    console.log(typeof WebAssembly, step === MERGE.DONE)`
  const { stdout } = spawnSync(process.execPath, ['--jitless', '--input-type=module', '-e', code], { encoding: 'utf8' })
  expect(stdout.trim()).toBe('undefined true')
})
