/** Runs of entries that a merge copies: the same bytes as one entry after the other gives, and never past what another source has to say. */
import { KIND_POINTER, POINTER_LENGTH, compareBytes } from '@wk/codec'
import type { KeyView } from '@wk/codec'
import { TableScan, TableWriter } from '@wk/sstable'
import type { TableWriterOptions } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArrayFile, anyKey, anyOptions, anyTable, build, entryAt, numbered, pointerEntries, runs, scanOf, show } from './support.js'
import type { Entry } from './support.js'

/** Of another source's next entry. */
const limitAt = (key: Uint8Array): KeyView => ({ keyBytes: key, keyStart: 0, keyEnd: key.length })

function add(writer: TableWriter, { key, sequence, kind, value }: Entry): void {
  writer.add(key, 0, key.length, sequence, kind, value, 0, value.length)
}

interface Copied {
  bytes: Uint8Array
  /** Entries that went with a run. */
  inRuns: number
}

/** All entries of the scan, with every run that there is up to the next of `limits`, ascending. */
function copy(scan: TableScan, limits: readonly Uint8Array[], options: Partial<TableWriterOptions>): Copied {
  const file = new ArrayFile()
  const writer = new TableWriter(file, { fileNumber: 7, ...options })
  let inRuns = 0
  for (scan.first(); scan.valid; scan.next()) {
    const from = entryAt(scan)
    add(writer, from)
    const limit = limits.find((key) => compareBytes(key, from.key) >= 0)
    inRuns += writer.addRun(scan, limit === undefined ? undefined : limitAt(limit))
    const last = entryAt(scan)
    if (limit !== undefined && compareBytes(last.key, from.key) > 0) expect(compareBytes(last.key, limit)).toBeLessThan(0)
  }
  writer.finish()
  return { bytes: file.bytes, inRuns }
}

describe('runs', () => {
  it('are copied to the bytes that one entry after the other gives', () => {
    fc.assert(
      fc.property(anyTable(120), anyOptions, anyOptions, fc.array(anyKey, { maxLength: 8 }), (entries, from, to, limits) => {
        const scan = scanOf(build(entries, from).open())
        expect(copy(scan, limits.toSorted(compareBytes), to).bytes).toEqual(build(entries, to).file.bytes)
      }),
      runs(400),
    )
  })

  it('are nearly all there is where nobody else has a say', () => {
    const entries = pointerEntries(5000)
    const { bytes, inRuns } = copy(scanOf(build(entries).open()), [], {})
    expect(bytes).toEqual(build(entries).file.bytes)
    // But for the first entry of each block that is read or written.
    expect(inRuns).toBeGreaterThan(4800)
  })

  it('end before the key of the limit, whatever that shares with those around it', () => {
    const entries = pointerEntries(300)
    const table = build(entries).open()
    for (let i = 1; i < 300; i++) {
      for (const limit of [numbered(i), Uint8Array.from([...numbered(i - 1), 0]), numbered(i).subarray(0, 15), Uint8Array.from([...numbered(i).subarray(0, 15), 0xff])]) {
        const scan = scanOf(table)
        scan.first()
        const wanted = entries.findLastIndex(({ key }) => compareBytes(key, limit) < 0)
        if (wanted < 0) continue
        scan.beginRun(limitAt(limit))
        let at = 0
        for (;;) {
          while (scan.nextOfRun()) at++
          // The end of a block ends a run as well.
          if (at >= wanted || !scan.valid) break
          scan.next()
          at++
          scan.beginRun(limitAt(limit))
        }
        expect(show(entryAt(scan))).toBe(show(entries[wanted]))
      }
    }
  })

  it('end before what more than a copy may be needed for', () => {
    const pointer = (i: number, sequence: number, kind: number = KIND_POINTER): Entry => ({ key: numbered(i), sequence, kind, value: new Uint8Array(POINTER_LENGTH) })
    for (const other of [pointer(1, 5), { ...pointer(2, 5), kind: 0, value: new Uint8Array(0) }, { ...pointer(2, 5), kind: KIND_POINTER | 4, value: Uint8Array.from([...new Uint8Array(POINTER_LENGTH), 1, 9]) }]) {
      const scan = scanOf(build([pointer(0, 9), pointer(1, 9), other, pointer(3, 9)]).open())
      scan.first()
      scan.beginRun(undefined)
      expect([scan.nextOfRun(), scan.nextOfRun()]).toEqual([true, false])
      expect(show(entryAt(scan))).toBe(show(pointer(1, 9)))
      scan.next()
      expect(show(entryAt(scan))).toBe(show(other))
    }
  })
})
