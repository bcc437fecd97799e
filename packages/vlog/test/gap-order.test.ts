/** How the log goes on to gaps and away from them: from long records, at its end, beside a close; and what a log that stands alone makes of it. */
import type { MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { expectReadable, fill, gapFileOf, GONE, inFile, LEAST, LIVE, openGaps, planGaps, prepare, recordOf } from './support/gap-log.js'
import { newMemory, openLog } from './support/memory-log.js'

test('a long record that makes the log go on to gaps finds their beginning', async () => {
  const prepared = await prepare({ maxEntries: 1000, fileSize: 1 << 21 })
  const { log, kept, puts } = prepared
  const more = await puts(...Array.from({ length: 20 }, (_, i) => (i % 4 === 3 ? 100 : 60_000)))
  await log.seal()
  // Two files, the second one with more bytes in gaps than a long record has, none of them in one piece.
  const second = await puts(...Array.from({ length: 20 }, (_, i) => (i % 2 === 1 ? 100 : 90_000)))
  await log.seal()
  const alive = [...more, ...second].filter(({ entry }) => entry.value.length === 100)
  const live = [...kept, ...alive]
  await openGaps(log, 1, inFile(live, 1), LEAST)
  const first = await puts(60_000, 160_000, 170_000, 170_000)
  expect(log.gaps.isFilling).toBe(true)
  await log.seal()
  await openGaps(log, 2, inFile(live, 2), LEAST)
  const pointer = { fid: 0, offset: 0, len: 0 }
  const entry = recordOf(Math.random, 900, 131_072)
  log.stage(entry.key, entry.version, 0, 0, 0, entry.value, pointer)
  await log.writeStaged()
  expectReadable(log, [{ entry, pointer }, ...first, ...live])
  const after = await puts(80_000, 80_000)
  expectReadable(log, [{ entry, pointer }, ...first, ...live, ...after])
  await log.close()
})

test('a file that was made ahead counts its own records', async () => {
  const fs = await newMemory()
  const log = await openLog(fs, { durable: null, lock: false, maxEntries: 3, fileSize: 4096, prepareAhead: 2000 })
  const fids: number[] = []
  for (let i = 0; i < 16; i++) {
    fids.push((await log.append([recordOf(Math.random, i, 700)]))[0]!.fid)
    await log.sync()
  }
  expect([1, 2, 3, 4].map((nth) => fids.filter((fid) => fid === [...new Set(fids)][nth - 1]).length)).toEqual([4, 4, 4, 4])
  await log.close()
})

test('a log that stands alone opens again after a clean close whose end lies in gaps of before', async () => {
  const prepared = await prepare()
  const { fs, log, kept, put } = prepared
  await fill(prepared, 1)
  const added = [await put(9000)]
  expect(added[0]!.pointer.fid).toBe(gapFileOf(log, 1))
  await log.close()
  for (let opening = 0; opening < 2; opening++) {
    const again = await openLog(fs, { lock: false })
    expectReadable(again, [...LIVE(kept), ...added], GONE(kept))
    expect(await again.verify()).toMatchObject({ ok: true })
    expect(planGaps(again, 2, LIVE(kept, 2), LEAST), 'it has no marks that would tell what lies in them').toBeUndefined()
    await again.close()
  }
})

test('a close while gaps are being opened leaves no handle', async () => {
  for (let turns = 0; turns < 60; turns++) {
    const { fs, log, kept } = await prepare()
    // Makes names durable only when the log is closed.
    let letGo = (): void => undefined
    const held = new Promise<void>((resolve) => (letGo = resolve))
    const syncDir = fs.syncDir.bind(fs)
    fs.syncDir = async (path) => {
      await held
      await syncDir(path)
    }
    const opening = log.gaps.open([planGaps(log, 1, LIVE(kept), LEAST)!]).catch(() => undefined)
    for (let turn = 0; turn < turns; turn++) await undefined
    await log.close()
    letGo()
    await opening
    expect((fs as MemoryFileSystem).openFiles, `${turns} turns`).toBe(0)
  }
})

test('a relocation takes no file that is younger than it: that would read as one in gaps', async () => {
  const prepared = await prepare()
  const { fs, log, kept, puts } = prepared
  const relocation = await log.createRelocation()
  await fill(prepared, 1)
  const [added] = await puts(9000)
  await log.seal()
  const { fid, offset, len } = added!.pointer
  expect(fid).toBe(gapFileOf(log, 1))
  await expect(relocation.copy(fid, offset, len)).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  await relocation.copy(1, LIVE(kept)[0]!.pointer.offset, LIVE(kept)[0]!.pointer.len)
  await relocation.finish()
  const synced = log.syncedPosition()
  await log.close()
  const again = await openLog(fs, { durable: synced, lock: false })
  expectReadable(again, [added!, LIVE(kept)[0]!])
  await again.close()
})

test('a record that is to be alone comes between two files in gaps: those that were not begun stay open', async () => {
  const prepared = await prepare()
  const { fs, log, kept, put } = prepared
  log.limitFiles(1 << 20, 0, 50_000)
  const lone = [await put(60_000)]
  await fill(prepared, 1, 2, 3)
  const short = [await put(9000)]
  for (let round = 0; round < 2; round++) {
    lone.push(await put(60_000))
    short.push(await put(9000))
  }
  const filled = [1, 2, 3].map((number) => gapFileOf(log, number))
  expect(short.map(({ pointer }) => pointer.fid)).toEqual(filled)
  // Numbers ascend in the order of writing.
  expect(lone.slice(1).map(({ pointer }) => pointer.fid)).toEqual(filled.slice(0, 2).map((fid) => fid + 1))
  const live = [...LIVE(kept, 1), ...LIVE(kept, 2), ...LIVE(kept, 3), ...short, ...lone]
  expectReadable(log, live, [1, 2, 3].flatMap((fid) => GONE(kept, fid)))
  await log.close()
  const again = await openLog(fs, { lock: false, durable: log.syncedPosition(), expectedFids: new Set(live.map(({ pointer }) => pointer.fid)) })
  expectReadable(again, live)
  await again.close()
})
