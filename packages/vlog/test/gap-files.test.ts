/** Files that lie in gaps of older ones: what goes in reads back, what was alive there is untouched, and numbers ascend in the order of writing. */
import { ScheduledFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { GapPlan, ValueLog } from '../src/index.js'
import { expectReadable, expectReadableAnyhow, fill, gapFileOf, GONE, host, inFile, LEAST, LIVE, move, openGaps, planGaps, prepare, prepareFiles, rangesOf, recordOf } from './support/gap-log.js'
import { mulberry, SEED } from './support/bytes.js'
import { appendAll, collect, DIR, failureOf, lineOf, newMemory, openLog, readFile, type Kept } from './support/memory-log.js'

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i)

const numbersOf = (log: ValueLog): number[] => log.files().map(({ fid }) => fid)

describe('files in gaps', () => {
  test('records go into gaps, read back in every way while they are staged and after; no byte of what was alive changes', async () => {
    const prepared = await prepare()
    const { fs, log, kept } = prepared
    const before = readFile(fs, '000001.vlog')
    const plan = planGaps(log, 1, LIVE(kept), LEAST)!
    expect(plan).toMatchObject({ number: 1, entries: 2 + 2 })
    const lengths = GONE(kept).map(({ pointer }) => pointer.len)
    expect(plan.longest).toBe(lengths[0]! + lengths[1]! + lengths[2]!)
    expect(plan.bytes).toBe(lengths.reduce((sum, length) => sum + length, 0))
    await log.gaps.open([plan])
    expect(log.gaps.bytes).toBe(plan.bytes)
    expect(log.gaps.isFilling).toBe(false)
    expectReadable(log, [...LIVE(kept), ...inFile(kept, 2, 3, 4)], GONE(kept))
    await log.seal()
    const staged: Kept[] = []
    for (const length of [9000, 5000, 50, 9000]) {
      const entry = recordOf(Math.random, 500 + length, length)
      const pointer = { fid: 0, offset: 0, len: 0 }
      log.stage(entry.key, entry.version, 0, 0, 0, entry.value, pointer)
      staged.push({ entry, pointer })
    }
    expect(log.gaps.isFilling).toBe(true)
    expect(new Set(staged.map(({ pointer }) => pointer.fid))).toEqual(new Set([gapFileOf(log, 1)]))
    expect(log.stagedBytes).toBeGreaterThan(0)
    await expectReadableAnyhow(log, [...staged, ...LIVE(kept)])
    expect(readFile(fs, '000001.vlog'), 'nothing is written yet').toEqual(before)
    if (!log.writeStagedSync()) await log.writeStaged()
    expect(log.writtenPosition()).toEqual(log.position())
    await expectReadableAnyhow(log, [...staged, ...LIVE(kept)])
    await log.sync()
    expect(log.syncedPosition()).toEqual(log.position())
    await expectReadableAnyhow(log, [...staged, ...LIVE(kept)])
    const after = readFile(fs, '000001.vlog')
    expect(after.length).toBe(before.length)
    for (const { pointer: { offset, len } } of LIVE(kept)) expect(Buffer.compare(after.subarray(offset, offset + len), before.subarray(offset, offset + len))).toBe(0)
    expect(Buffer.compare(after.subarray(0, 20), before.subarray(0, 20))).toBe(0)
    expect(Buffer.compare(after, before)).not.toBe(0)
    expect(log.appended.bytesInGaps).toBe(staged.reduce((sum, { pointer }) => sum + pointer.len, 0))
    await log.close()
    expect(fs.openFiles).toBe(0)
  })

  test('records for them are written at the call, some at once', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { maxEntries: 40, fileSize: 1 << 20, durable: null, lock: false })
    const random = mulberry(SEED)
    const kept = await appendAll(log, Array.from({ length: 41 }, (_, i) => recordOf(random, i + 1, 10_000)), 1)
    await log.seal()
    await openGaps(log, 1, inFile(kept, 1).filter((_, i) => i % 2 === 0), LEAST)
    const staged = await appendAll(log, [recordOf(random, 1000, 9000)], 1)
    const before = readFile(fs, '000001.vlog')
    let most = 0
    for (let i = 0; i < 12; i++) {
      const entry = recordOf(random, 1001 + i, 9000)
      const pointer = { fid: 0, offset: 0, len: 0 }
      log.stage(entry.key, entry.version, 0, 0, 0, entry.value, pointer)
      staged.push({ entry, pointer })
      most = Math.max(most, log.stagedBytes)
      if (i === 6) expect(Buffer.compare(readFile(fs, '000001.vlog'), before), 'after 63,000 bytes nothing is written yet').toBe(0)
    }
    expect(most).toBeLessThan(1 << 16)
    expect(log.stagedBytes, 'of the last four records').toBeLessThan(40_000)
    expect(Buffer.compare(readFile(fs, '000001.vlog'), before)).not.toBe(0)
    expectReadable(log, staged)
    if (!log.writeStagedSync()) await log.writeStaged()
    await log.close()
    const again = await openLog(fs, { durable: null, lock: false })
    expectReadable(again, [...staged, ...inFile(kept, 1).filter((_, i) => i % 2 === 0)])
    await again.close()
  })

  test('a plan leaves short dead ranges, and is refused for what is not sealed, held, moved, empty, has holes, or is not there', async () => {
    const { log, kept } = await prepare()
    const live = inFile(kept, 1).filter((_, i) => i !== 4)
    expect(planGaps(log, 1, live, 10_000)).toMatchObject({ bytes: inFile(kept, 1)[4]!.pointer.len, entries: 3 })
    expect(planGaps(log, 1, live, 12_000)).toBeUndefined()
    expect(planGaps(log, 1, inFile(kept, 1), 1)).toBeUndefined()
    expect(planGaps(log, 4, [], LEAST), 'not sealed').toBeUndefined()
    expect(planGaps(log, 1, [], LEAST), 'nothing is alive').toBeUndefined()
    expect(planGaps(log, 77, [], LEAST)).toBeUndefined()
    log.pin(1)
    expect(planGaps(log, 1, live, LEAST), 'held').toBeUndefined()
    log.unpin(1)
    const relocation = await log.createRelocation()
    await relocation.copy(1, live[0]!.pointer.offset, live[0]!.pointer.len)
    expect(planGaps(log, 1, live, LEAST), 'moving').toBeUndefined()
    await relocation.abort()
    const [first, second] = [planGaps(log, 1, live, LEAST)!, planGaps(log, 1, live, LEAST)!]
    const both = [log.gaps.open([first]), log.gaps.open([second])]
    await expect(both[1]).rejects.toMatchObject({ code: 'WK_GC_RUNNING' })
    expect(await both[0]).toEqual([first])
    expect(planGaps(log, 1, live, LEAST), 'its gaps wait for records').toBeUndefined()
    expect(await failureOf(log.gaps.open([{ number: 1, bytes: 1, longest: 1, entries: 1 }]))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    expect(() => planGaps(log, 2, [{ entry: kept[0]!.entry, pointer: { fid: 2, offset: 900_000, len: 30 } }], LEAST)).toThrow(/outside its file/)
    await log.holes.punch([log.holes.plan(2, rangesOf(LIVE(kept, 2)), LEAST)!])
    expect(planGaps(log, 2, LIVE(kept, 2).slice(1), LEAST), 'has holes').toBeUndefined()
    await log.close()
  })

  test('a plan of a file that is not what it was comes to nothing', async () => {
    const prepared = await prepare()
    const { fs, log, kept, put } = prepared
    const plan = (number: number): GapPlan => planGaps(log, number, LIVE(kept, number), LEAST)!
    const held = plan(1)
    log.pin(1)
    expect(await log.gaps.open([held]), 'held').toEqual([])
    log.unpin(1)
    expect(await log.gaps.open([held, plan(2)]), 'not any more').toHaveLength(2)
    expect(await log.gaps.open([held]), 'its gaps are open').toEqual([])
    const punched = plan(3)
    await log.holes.punch([log.holes.plan(3, rangesOf(LIVE(kept, 3)), LEAST)!])
    expect(await log.gaps.open([punched]), 'has holes').toEqual([])
    await log.seal()
    await put(9000)
    log.gaps.giveUp()
    await log.seal()
    const [first, second] = [1, 2].map((number) => {
      const gapFile = gapFileOf(log, number)
      return log.gaps.plan(number, new Map([...rangesOf(LIVE(kept, number)), [gapFile, { offsets: new Uint32Array(0), lengths: new Uint32Array(0) }]]), LEAST)
    })
    await log.dropLogical([gapFileOf(log, 1)])
    await move(log, LIVE(kept, 2))
    expect([first, second]).not.toContain(undefined)
    expect(await log.gaps.open([first!, second!]), 'part of it was dropped, or moved').toEqual([])
    expectReadable(log, [...LIVE(kept, 1), ...LIVE(kept, 2), ...LIVE(kept, 3)])
    await log.close()
    expect(fs.openFiles).toBe(0)
  })

  test('encrypted files have no gaps', async () => {
    const { log, kept } = await prepare({ encryptionKey: KEY })
    expect(planGaps(log, 1, LIVE(kept), LEAST)).toBeUndefined()
    await log.close()
  })

  test('a file with a second name is left alone, and others are not', async () => {
    const prepared = await prepare()
    const { fs, log, kept, put } = prepared
    await fs.link(`${DIR}/000001.vlog`, '/second')
    const plans = [1, 2].map((number) => planGaps(log, number, LIVE(kept, number), LEAST)!)
    expect(await log.gaps.open(plans)).toEqual([plans[1]])
    await log.seal()
    expect((await fs.list(DIR)).filter((name) => /runs/.test(name))).toEqual(['000002.runs'])
    expect((await put(9000)).pointer.fid).toBe(gapFileOf(log, 2))
    expectReadable(log, inFile(kept, 1))
    expectReadable(log, LIVE(kept, 2), GONE(kept, 2))
    await log.close()
    expect(fs.openFiles).toBe(0)
  })

  test('a trial of holes beside it, which makes a list of its own, takes nothing from theirs', async () => {
    for (let seed = SEED; seed < SEED + 20; seed++) {
      const memory = await newMemory()
      const { log, kept } = await prepareFiles(new ScheduledFileSystem(memory, seed), 5)
      const plans = [1, 2].map((number) => planGaps(log, number, LIVE(kept, number), LEAST)!)
      const [works, opened] = await Promise.all([log.holes.isSupported(), log.gaps.open(plans)])
      expect([works, opened.length], `WK_SEED=${seed} npx vitest run packages/vlog/test/gap-files.test.ts`).toEqual([true, 2])
      expect((await memory.list(DIR)).filter((name) => /runs/.test(name))).toEqual(['000001.runs', '000002.runs'])
      await log.close()
    }
  })

  test('reads of before hold gaps back: until the last of them has ended records go elsewhere', async () => {
    const prepared = await prepare()
    const { log, kept, put } = prepared
    const walk = log.iterate(1)
    const seen = [(await walk.next()).value!]
    await openGaps(log, 1, LIVE(kept), LEAST)
    await log.seal()
    const held = gapFileOf(log, 1)
    expect((await put(9000)).pointer.fid, 'under a reader of before').toBeLessThan(held)
    expect(log.files().find(({ fid }) => fid === held), 'it waits').toMatchObject({ physical: 1, sealed: false })
    expect(planGaps(log, 1, LIVE(kept), LEAST)).toBeUndefined()
    seen.push(...(await collect(walk)))
    expect(seen.map(({ entry }) => lineOf(entry))).toEqual(inFile(kept, 1).map(({ entry }) => lineOf(entry)))
    expect((await put(9000)).pointer.fid, 'the record before ended its group without them').toBeLessThan(held)
    expect((await put(9000)).pointer.fid).toBe(held)
    await log.seal()
    // A second time: the walk of before ends before a file is begun, and one of after does not matter.
    const [before, fresh] = [log.iterate(1), log.iterate(1)]
    await before.next()
    await openGaps(log, 1, LIVE(kept), LEAST)
    await before.return(undefined)
    await fresh.next()
    await log.seal()
    expect((await put(9000)).pointer.fid).toBe(gapFileOf(log, 1))
    expect((await collect(fresh)).map(({ entry }) => lineOf(entry))).toEqual(LIVE(kept).slice(1).map(({ entry }) => lineOf(entry)))
    // Readers without a pause between them are not told apart.
    const [old, next] = [log.iterate(2), log.iterate(2)]
    await old.next()
    await openGaps(log, 2, LIVE(kept, 2), LEAST)
    await next.next()
    await old.return(undefined)
    await log.seal()
    expect((await put(9000)).pointer.fid).toBeLessThan(gapFileOf(log, 2))
    await next.return(undefined)
    await log.close()
  })

  test('given up, nothing goes into them; what is filled already goes on', async () => {
    const prepared = await prepare()
    const { fs, log, put } = prepared
    await fill(prepared, 1, 2)
    log.gaps.giveUp()
    log.gaps.giveUp()
    expect(log.gaps.bytes).toBe(0)
    expect((await put(9000)).pointer.fid, 'a number kept for new files').toBe(5)
    const unused = [1, 2].map((number) => gapFileOf(log, number))
    expect(log.physicalFiles().slice(0, 2)).toMatchObject([{ sealed: true, hasOpenGaps: false, logical: [1, unused[0]] }, { sealed: true, hasOpenGaps: false, logical: [2, unused[1]] }])
    await fill(prepared, 1, 2)
    const first = await put(9000)
    expect(first.pointer.fid).toBe(gapFileOf(log, 1))
    log.gaps.giveUp()
    expect(log.gaps.isFilling).toBe(true)
    expect((await put(9000)).pointer.fid, 'it was begun').toBe(gapFileOf(log, 1))
    expect((await put(15_000)).pointer.fid, 'the others are gone').toBeGreaterThan(gapFileOf(log, 2))
    await log.close()
    expect(fs.openFiles).toBe(0)
  })

  test('from gap file to gap file to a plain one; what is longer than every gap goes to a plain one', async () => {
    const prepared = await prepare()
    const { log, kept, puts } = prepared
    const [one] = await fill(prepared, 1, 2, 3)
    const inOne = await puts(9000, 9000, 9000, 9000, 9000, 9000, 9000)
    const [a, b, c] = [1, 2, 3].map((number) => gapFileOf(log, number))
    expect([b, c]).toEqual([a! + 1, a! + 2])
    expect(inOne.map(({ pointer }) => pointer.fid)).toEqual([a, a, a, b, b, b, c])
    expect(log.gaps.bytes).toBeLessThan(one!.bytes)
    const [long, short] = await puts(one!.longest, 9000)
    expect([long!.pointer.fid, short!.pointer.fid], 'the rest of the last one is passed, too').toEqual([c! + 1, c! + 1])
    expect(log.gaps.bytes).toBe(0)
    await expectReadableAnyhow(log, [...inOne, long!, short!, ...LIVE(kept), ...LIVE(kept, 2), ...LIVE(kept, 3)])
    await log.sync()
    expect(log.files().filter(({ sealed }) => !sealed).map(({ fid }) => fid)).toEqual([c! + 1])
    await fill(prepared, 1, 2)
    const [d, e] = [1, 2].map((number) => gapFileOf(log, number))
    const [over, next] = await puts(one!.longest, 9000)
    expect(over!.pointer.fid, 'there are numbers for new files that come before them').toBe(c! + 2)
    expect(next!.pointer.fid).toBe(d)
    await expectReadableAnyhow(log, [over!, next!])
    await puts(one!.longest)
    expect(numbersOf(log)).toEqual([1, 2, 3, 4, c, c! + 1, c! + 2, d, e, e! + 1])
    await log.close()
  })

  test('files made ahead with a lower number go, those with a higher one wait', async () => {
    const prepared = await prepare({ prepareAhead: 400_000, fileSize: 1 << 20, maxEntries: 1_000_000 })
    const { fs, log, puts } = prepared
    // All are in file 1, and none was made ahead.
    expect(await fs.list(DIR)).toEqual(['000001.vlog'])
    await log.seal()
    const more = await puts(500_000, 200_000, 9000)
    await log.writeStaged()
    await log.sync()
    const ahead = (await fs.list(DIR)).filter((name) => name > '000002.vlog')
    expect(ahead.length).toBeGreaterThan(1)
    const kept = prepared.kept
    await openGaps(log, 1, kept.filter((_, i) => i % 6 === 3), LEAST)
    await log.seal()
    const inGap = await puts(9000)
    const first = inGap[0]!.pointer.fid
    expect(first).toBeGreaterThan(Number(ahead.at(-1)!.slice(0, 6)))
    expect(log.files().find(({ fid }) => fid === first)).toMatchObject({ physical: 1 })
    await log.sync()
    await log.removeStrays()
    expect((await fs.list(DIR)).filter((name) => ahead.includes(name)), 'their turn has passed').toEqual([])
    expectReadable(log, [...more, ...inGap])
    await log.seal()
    const last = await puts(9000)
    expect(last[0]!.pointer.fid).toBeGreaterThan(first)
    expectReadable(log, [...more, ...inGap, ...last])
    await log.close()
    expect(fs.openFiles).toBe(0)
  })

  test('the same file is filled a second and a third time; an address of before leads nowhere', async () => {
    const prepared = await prepare()
    const { fs, log, kept, puts } = prepared
    const gone = GONE(kept)
    const filled: number[] = []
    let live = LIVE(kept)
    for (let round = 0; round < 3; round++) {
      await openGaps(log, 1, live, LEAST)
      await log.seal()
      const fid = gapFileOf(log, 1)
      filled.push(fid)
      // The first of them stays, so that there is room for one less each time.
      const added = await puts(...[9000, 9000, 9000].slice(round))
      expect(added.every(({ pointer }) => pointer.fid === fid)).toBe(true)
      expectReadable(log, [...live, ...added], gone)
      live = [...live, added[0]!]
      gone.push(...added.slice(1))
      await log.seal()
    }
    expect(planGaps(log, 1, live, LEAST), 'no gap is left that is long enough').toBeUndefined()
    expect(log.physicalFiles()[0]).toMatchObject({ number: 1, listBytes: readFile(fs, '000001.runs').length, holeBytes: 0, logical: [1, ...filled] })
    await log.close()
    const again = await openLog(fs, host(1, 2, 3, 4, ...filled))
    expectReadable(again, live, gone)
    expect(again.physicalFiles()[0]).toMatchObject({ holeBytes: 0, logical: [1, ...filled] })
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test('relocations take records out of gaps and of what is beside them; the file and its list go when it is empty', async () => {
    const prepared = await prepare()
    const { fs, log, kept, puts } = prepared
    await fill(prepared, 1)
    const added = await puts(9000, 9000, 9000)
    // The file that takes records stays where it is, and what is sealed beside them moves.
    await move(log, LIVE(kept))
    expectReadable(log, [...LIVE(kept), ...added], GONE(kept))
    expect(log.physicalFiles()[0]).toMatchObject({ number: 1, logical: [added[0]!.pointer.fid], sealed: false, hasOpenGaps: true })
    await log.seal()
    const { fid } = added[0]!.pointer
    const number = await move(log, added.slice(1))
    expect((await fs.list(DIR)).filter((name) => /000001/.test(name))).toEqual([])
    expectReadable(log, [...LIVE(kept), ...added.slice(1)], [...GONE(kept), added[0]!])
    expect(log.files().find((file) => file.fid === fid)).toMatchObject({ physical: number, relocated: true })
    const places = log.directPlaces(fid)
    expect(places, 'it is a relocated one like others now').toMatchObject({ fid, target: number })
    await log.close()
    const again = await openLog(fs, host(1, 2, 3, 4, fid))
    expectReadable(again, [...LIVE(kept), ...added.slice(1)])
    await again.close()
  })

  test('relocated files have gaps as well; what lies there gets no address of its own', async () => {
    const prepared = await prepare()
    const { fs, log, kept, puts } = prepared
    const number = await move(log, inFile(kept, 1, 2))
    const { starts, positions } = log.directPlaces(1)!
    const direct = inFile(kept, 1).map(({ entry, pointer }) => ({ entry, pointer: { ...pointer, fid: number, offset: positions[0]! + pointer.offset - starts[0]! } }))
    // File 1 is referred to by the new address only.
    const live = [direct[3]!, direct[5]!, ...LIVE(kept, 2)]
    await openGaps(log, number, live, LEAST)
    await log.seal()
    const added = await puts(9000, 9000)
    const fid = added[0]!.pointer.fid
    expect(log.files().find((file) => file.fid === fid)).toMatchObject({ physical: number })
    expect(log.directPlaces(fid)).toBeUndefined()
    await log.seal()
    expect(log.directPlaces(fid), 'sealed').toBeUndefined()
    expectReadable(log, [...live, ...added, ...LIVE(kept, 1)], [...GONE(kept, 2), direct[0]!, direct[4]!])
    expect(await log.verify()).toMatchObject({ ok: true })
    await log.close()
    const again = await openLog(fs, host(2, 3, 4, number, fid))
    expectReadable(again, [...live, ...added], [...GONE(kept, 2), direct[0]!, direct[4]!])
    expect(again.directPlaces(fid)).toBeUndefined()
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test('holes may be made where gaps were filled, and then no more gaps', async () => {
    const prepared = await prepare()
    const { fs, log, kept, puts } = prepared
    await fill(prepared, 1)
    const added = await puts(9000, 9000, 9000)
    const [last] = await puts(9000)
    await log.seal()
    const live = [...LIVE(kept), added[2]!]
    const [plan] = await log.holes.punch([log.holes.plan(1, rangesOf(live), LEAST)!])
    expect(plan!.bytes).toBeGreaterThan(0)
    expect(planGaps(log, 1, live.slice(1), LEAST)).toBeUndefined()
    expectReadable(log, live, [...GONE(kept), added[0]!])
    await log.close()
    const again = await openLog(fs, host(1, 2, 3, 4, added[2]!.pointer.fid, last!.pointer.fid))
    expectReadable(again, live, [...GONE(kept), added[0]!])
    expect(again.physicalFiles()[0]).toMatchObject({ holeBytes: plan!.bytes })
    expect(await again.verify()).toMatchObject({ ok: true })
    await again.close()
  })

  test('what the files tell of themselves', async () => {
    const prepared = await prepare()
    const { log, kept, put } = prepared
    const size = log.physicalFiles()[0]!.size
    const [plan] = await fill(prepared, 1)
    const fid = gapFileOf(log, 1)
    const told = { number: 1, relocated: false, size, holeBytes: 0, listBytes: readFile(prepared.fs, '000001.runs').length, recordBytes: size - 20, logical: [1, fid], runs: 4 }
    expect(log.physicalFiles()[0]).toEqual({ ...told, sealed: false, hasOpenGaps: true })
    expect(log.files().find((file) => file.fid === fid)).toMatchObject({ physical: 1, relocated: false, size: 20 + plan!.bytes, runs: 2, sealed: false })
    const one = await put(9000)
    expect(log.physicalFiles()[0]).toEqual({ ...told, sealed: false, hasOpenGaps: true })
    expect(log.gaps.bytes).toBe(plan!.bytes - one.pointer.len)
    await log.seal()
    expect(log.physicalFiles()[0]).toEqual({ ...told, sealed: true, hasOpenGaps: false })
    expect(log.gaps.bytes).toBe(0)
    expect((await collect(log.iterate(fid)))[0]).toMatchObject({ pointer: one.pointer })
    expect((await collect(log.iterate(1))).map(({ pointer }) => pointer)).toEqual(LIVE(kept).map(({ pointer }) => pointer))
    expect((await collect(log.recordsFrom({ fid: 1, offset: 20 }))).every(({ pointer }) => pointer.fid !== 1 && pointer.fid !== fid)).toBe(true)
    await log.close()
  })

  test('a walk that begins while they are filled sees what was written; stale bytes are no damage', async () => {
    const prepared = await prepare()
    const { log, kept, puts } = prepared
    await fill(prepared, 1)
    const written = await puts(9000, 500)
    const walk = log.iterate(gapFileOf(log, 1))
    const seen = [(await walk.next()).value!]
    await puts(9000)
    seen.push(...(await collect(walk)))
    const lines = seen.map(({ entry, pointer }) => `${lineOf(entry)} ${pointer.offset}`)
    expect(lines).toEqual(expect.arrayContaining(written.map(({ entry, pointer }) => `${lineOf(entry)} ${pointer.offset}`)))
    expect(await log.verify()).toMatchObject({ ok: true })
    expectReadable(log, LIVE(kept))
    await log.close()
  })

  test.each(['clean', 'killed', 'read-only'] as const)('reopened after a %s end they are where they were', async (how) => {
    const prepared = await prepare()
    const { fs, log, kept, puts } = prepared
    await fill(prepared, 1, 2)
    const added = await puts(9000, 9000)
    const synced = log.syncedPosition()
    const end = log.position()
    expect(end.fid).toBe(gapFileOf(log, 1))
    const newest = gapFileOf(log, 2)
    const image = fs.crashClone('P1')
    await log.close()
    const options = how === 'clean' ? { cleanEnd: { fid: end.fid, size: end.offset } } : { durable: synced }
    const place = how === 'clean' ? fs : image
    const again = await openLog(place, { ...host(1, 2, 3, 4, end.fid), durable: undefined, ...options, readOnly: how === 'read-only' })
    const live = [...LIVE(kept), ...LIVE(kept, 2), ...inFile(kept, 3, 4), ...added]
    await expectReadableAnyhow(again, live)
    expectReadable(again, live, [...GONE(kept), ...GONE(kept, 2)])
    expect(again.cutBytes).toBe(0)
    expect(await again.verify()).toMatchObject({ ok: true })
    expect(again.files().every(({ sealed }) => sealed)).toBe(true)
    if (how !== 'read-only') {
      const [more] = await appendAll(again, [recordOf(Math.random, 2000, 9000)])
      expect(more!.pointer.fid, 'nothing goes into gaps of before').toBe(newest + 1)
      expectReadable(again, [...live, more!])
      // They have gaps like others.
      await openGaps(again, 1, live, 5000)
    }
    await again.close()
    expect(place.openFiles).toBe(0)
  })

  test('what was dropped between them is no hole, before the log is opened again and after', async () => {
    const prepared = await prepare()
    const { fs, log, puts } = prepared
    await log.seal()
    const [, , dies] = await puts(10_000, 7000, 10_000, 50, 10_000, 50)
    await log.seal()
    const number = dies!.pointer.fid
    const before = (await collect(log.iterate(number))).filter((_, i) => i % 2 === 1)
    await openGaps(log, number, before, LEAST)
    const inGaps = await puts(10_000, 10_000, 10_000)
    const fid = inGaps[0]!.pointer.fid
    expect(log.files().find((file) => file.fid === fid)).toMatchObject({ physical: number })
    await log.seal()
    // Nothing is left of what was there first, and the last of the others is overwritten: too short for a gap is what lay between them.
    await log.dropLogical([number])
    await openGaps(log, number, inGaps.slice(0, 2), LEAST)
    await log.seal()
    const added = await puts(9000)
    const told = log.physicalFiles().find((file) => file.number === number)!
    expect(told).toMatchObject({ holeBytes: 0 })
    await log.close()
    const again = await openLog(fs, { durable: { fid: 1, offset: 20 }, lock: false })
    const then = again.physicalFiles().find((file) => file.number === number)!
    expect(then).toMatchObject({ holeBytes: 0, recordBytes: told.recordBytes })
    expectReadable(again, [...inGaps.slice(0, 2), ...added])
    await openGaps(again, number, inGaps.slice(0, 2), LEAST)
    await again.close()
  })
})
