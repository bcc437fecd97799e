/** Damaged tables are read in turns of the event loop, with an index and without, until a signal ends it. */
import { defaultRuntime } from '@wk/fs'
import { SalvagedTable } from '@wk/sstable'
import { expect, test } from 'vitest'
import { FOOTER_LENGTH } from '../src/format.js'
import { ArrayFile, allForward, build, pointerEntries, show } from './support.js'

const NUMBER = 7

/** A runtime on whose clock every slice is over at once. */
function countingRuntime(onTurn: () => void = () => {}): typeof defaultRuntime & { turns: number } {
  let time = 0
  const runtime = {
    ...defaultRuntime,
    turns: 0,
    monotonic: () => (time += 100),
    yield: () => {
      runtime.turns++
      onTurn()
      return defaultRuntime.yield()
    },
  }
  return runtime
}

const entries = pointerEntries(2000)

/** A table, and the same without the footer that tells where its blocks are. */
function tables(): { whole: Uint8Array; cut: Uint8Array } {
  const { file } = build(entries, { fileNumber: NUMBER, blockSize: 512 })
  return { whole: file.bytes, cut: file.bytes.subarray(0, file.bytes.length - FOOTER_LENGTH) }
}

test('law 10: blocks are read in several turns, found by the index or by trying lengths', async () => {
  const { whole, cut } = tables()
  for (const bytes of [whole, cut]) {
    const runtime = countingRuntime()
    const table = await SalvagedTable.read(new ArrayFile(bytes), NUMBER, bytes.length, runtime)
    expect(allForward(table.cursor())).toEqual(entries.map(show))
    expect(runtime.turns).toBeGreaterThan(50)
  }
})

test('a signal ends it', async () => {
  const { cut } = tables()
  const abort = new AbortController()
  const runtime = countingRuntime(() => abort.abort())
  await expect(SalvagedTable.read(new ArrayFile(cut), NUMBER, cut.length, runtime, abort.signal)).rejects.toMatchObject({ code: 'WK_ABORTED' })
  expect(runtime.turns).toBe(1)
})
