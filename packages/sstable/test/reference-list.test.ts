/** Reference lists: whatever order references come in, lists are sorted, whole, and read back as they were written. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ReferenceCollector, decodeReferences } from '../src/reference-list.js'

const u32 = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 300 }), fc.constantFrom(0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff))
const reference = fc.record({ fid: fc.constantFrom(0, 1, 7, 300), offset: u32, length: u32 })

interface Reference {
  fid: number
  offset: number
  length: number
}

function collect(references: readonly Reference[]): ReferenceCollector {
  const collector = new ReferenceCollector()
  for (const { fid, offset, length } of references) collector.add(fid, offset, length)
  return collector
}

/** What the lists must say: by file, then by offset, those of one offset as they came. */
function expected(references: readonly Reference[]): Reference[] {
  return [...references].sort((a, b) => a.fid - b.fid || a.offset - b.offset)
}

test('a block holds every reference, by file and offset, and is read back', () => {
  fc.assert(
    fc.property(fc.array(reference, { maxLength: 400 }), (references) => {
      const { block, summaries } = collect(references).finish()
      const lists = decodeReferences(block, block.length, 1, 0)
      const flat = lists.flatMap(({ fid, offsets, lengths }) => [...offsets].map((offset, i) => ({ fid, offset, length: lengths[i]! })))
      expect(flat).toEqual(expected(references))
      for (const { fid, count, bytes } of lists) {
        const own = references.filter((one) => one.fid === fid)
        expect(count).toBe(own.length)
        expect(bytes).toBe(own.reduce((sum, { length }) => sum + length, 0))
      }
      expect(summaries).toEqual(lists.map(({ fid, count, bytes }) => ({ fid, count, bytes })))
    }),
  )
})

test('references that lie encoded are added like others', () => {
  fc.assert(
    fc.property(fc.array(reference, { maxLength: 400 }), fc.nat(400), (references, first) => {
      const collector = collect(references.slice(0, first))
      collector.addPointers(Uint32Array.from(references.slice(first).flatMap(({ fid, offset, length }) => [fid, length, offset])))
      expect(collector.count).toBe(references.length)
      expect(collector.finish()).toEqual(collect(references).finish())
    }),
  )
})

test('many references are sorted and written in steps', () => {
  const count = 100_000
  const references = Array.from({ length: count }, (_, i) => ({ fid: 1 + (i % 3), offset: Math.imul(i, 0x9e37_79b1) >>> 0, length: i }))
  const steps = collect(references).finishSteps()
  let taken = 0
  let step = steps.next()
  for (; step.done !== true; step = steps.next()) taken++
  // Copied in pieces; of eight bytes all are counted, and the five that differ are what they are placed by.
  expect(taken).toBeGreaterThan(13 * Math.ceil(count / (1 << 15)) + Math.floor(count / (1 << 13)))
  expect(taken).toBeLessThan(16 * Math.ceil(count / (1 << 15)) + Math.floor(count / (1 << 13)))
  const lists = decodeReferences(step.value.block, step.value.block.length, 1, 0)
  expect(lists.flatMap(({ fid, offsets, lengths }) => [...offsets].map((offset, i) => ({ fid, offset, length: lengths[i]! })))).toEqual(expected(references))
})
