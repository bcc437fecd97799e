/** Lists of what lies in gaps that are damaged, or say what cannot be: damage in their own name, never a wrong record. */
import { CorruptionError } from '@wk/codec'
import type { MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { encodeRuns, decodeRuns } from '../src/runs-file.js'
import { RunTableBuilder, type RelocatedLogical } from '../src/run-table.js'
import { expectReadable, fill, gapFileOf, GONE, host, inFile, LIVE, prepare } from './support/gap-log.js'
import { DIR, failureOf, openLog, placeFile, readFile, type Kept } from './support/memory-log.js'

const NAME = '000001.runs'
/** Number of the file in gaps of the first one: some are kept for new files that come before it. */
const GAPS = 13

interface Listed {
  fs: MemoryFileSystem
  /** Alive: in file 1, in its gaps, and elsewhere. */
  live: Kept[]
  gone: Kept[]
  bytes: Uint8Array
  files: RelocatedLogical[]
  recordsEnd: number
}

/** A closed log whose first file has gaps, some of them filled. */
async function listed(): Promise<Listed> {
  const prepared = await prepare()
  const { fs, log, kept, puts } = prepared
  await fill(prepared, 1)
  const added = await puts(9000, 9000, 9000)
  expect(gapFileOf(log, 1)).toBe(GAPS)
  await log.close()
  const bytes = readFile(fs, NAME)
  const recordsEnd = readFile(fs, '000001.vlog').length
  return { fs, live: [...LIVE(kept), ...added, ...inFile(kept, 2, 3, 4)], gone: GONE(kept), bytes, files: decodeRuns(bytes, 1, recordsEnd, NAME), recordsEnd }
}

const REFERRED = [1, 2, 3, 4, GAPS]

test('flipped and missing bytes are damage in the name of the list, and nothing is changed', async () => {
  const { fs, live, gone, bytes } = await listed()
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice()
    damaged[at]! ^= 1 << (at % 8)
    await placeFile(fs, NAME, damaged)
    expect(await failureOf(openLog(fs, host(...REFERRED))), `byte ${at}`).toMatchObject({ code: 'WK_CORRUPTION', file: NAME })
  }
  for (let length = 0; length < bytes.length; length += 7) {
    await placeFile(fs, NAME, bytes.slice(0, length))
    expect(await failureOf(openLog(fs, host(...REFERRED))), `${length} bytes`).toMatchObject({ code: 'WK_CORRUPTION', file: NAME })
  }
  await placeFile(fs, NAME, bytes)
  const log = await openLog(fs, host(...REFERRED))
  expectReadable(log, live, gone)
  await log.close()
})

test('without its list a file in gaps is missing, and what it lay in is whole for nobody', async () => {
  const { fs, bytes } = await listed()
  await fs.remove(`${DIR}/${NAME}`)
  expect(await failureOf(openLog(fs, host(...REFERRED)))).toMatchObject({ code: 'WK_CORRUPTION', file: '000013.vlog' })
  await placeFile(fs, NAME, bytes)
  const salvaging = await openLog(fs, { ...host(...REFERRED), salvage: true, readOnly: true })
  expect(salvaging.files().map(({ fid }) => fid)).toEqual(REFERRED)
  await salvaging.close()
})

/** The same list with its files changed, and a sum that is right. */
async function openWith({ fs, files }: Listed, change: (file: RelocatedLogical) => RelocatedLogical): Promise<unknown> {
  await placeFile(fs, NAME, encodeRuns(1, files.map((file) => change({ ...file }))))
  return failureOf(openLog(fs, host(...REFERRED)).then((log) => log.close()))
}

const corrupt = { code: 'WK_CORRUPTION', file: NAME }

/** The runs of a file, each changed. */
function runsOf({ runs }: RelocatedLogical, change: (run: { start: number; at: number; length: number }, nth: number) => { start: number; at: number; length: number }): RelocatedLogical['runs'] {
  const builder = new RunTableBuilder()
  for (let run = 0; run < runs.count; run++) {
    const { start, at, length } = change({ start: runs.logicalStart(run), at: runs.physicalStart(run), length: runs.length(run) }, run)
    builder.add(start, at, length)
  }
  return builder.build()
}

test('a list with the right sum that says what cannot be is damage', async () => {
  const one = await listed()
  const { files, recordsEnd } = one
  expect(files.map(({ fid }) => fid)).toEqual([1, GAPS])
  expect(await openWith(one, (file) => file)).toBeUndefined()
  expect(await openWith(one, (file) => ({ ...file, fid: GAPS })), 'a number twice').toMatchObject(corrupt)
  expect(await openWith(one, (file) => ({ ...file, fid: file.fid === GAPS ? 0 : 1 })), 'no number').toMatchObject(corrupt)
  const last = (file: RelocatedLogical): RelocatedLogical['runs'] => runsOf(file, (run, nth) => (nth === file.runs.count - 1 ? { ...run, at: recordsEnd - run.length + 1 } : run))
  expect(await openWith(one, (file) => ({ ...file, runs: last(file) })), 'behind the end').toMatchObject(corrupt)
  expect(await openWith(one, (file) => ({ ...file, end: file.runs.end - 1 })), 'runs behind the end of the logical file').toMatchObject(corrupt)
  expect(await openWith(one, (file) => ({ ...file, direct: file.fid === GAPS })), 'a file in gaps is no address of a relocated file').toMatchObject(corrupt)
})

test('runs that overlap, of one file or of two, are damage: a record would be written over another one', async () => {
  const one = await listed()
  const overlapping: [string, (file: RelocatedLogical) => RelocatedLogical][] = [
    ['the first gap reaches into what is alive', (file) => (file.fid === GAPS ? { ...file, runs: runsOf(file, (run, nth) => (nth === 0 ? { ...run, at: run.at + 1 } : run)) } : file)],
    ['what is alive reaches into a gap', (file) => (file.fid === 1 ? { ...file, runs: runsOf(file, (run) => ({ ...run, at: run.at - 1 })) } : file)],
    ['two gaps are one', (file) => (file.fid === GAPS ? { ...file, runs: runsOf(file, (run) => ({ ...run, at: 20 })) } : file)],
    ['all of the file is a gap', (file) => (file.fid === GAPS ? { ...file, end: one.recordsEnd, runs: whole(one.recordsEnd) } : file)],
  ]
  for (const [what, change] of overlapping) expect(await openWith(one, change), what).toMatchObject(corrupt)
  await placeFile(one.fs, NAME, one.bytes)
  const log = await openLog(one.fs, host(...REFERRED))
  expectReadable(log, one.live)
  await log.close()
})

function whole(recordsEnd: number): RelocatedLogical['runs'] {
  const builder = new RunTableBuilder()
  builder.add(20, 20, recordsEnd - 20)
  return builder.build()
}

test('a list that claims the number of a file that is there, or of one in another list, takes nothing from it', async () => {
  const one = await listed()
  const { fs, files, live, gone } = one
  // The file of its gaps calls itself 3.
  await placeFile(fs, NAME, encodeRuns(1, files.map((file) => (file.fid === GAPS ? { ...file, fid: 3 } : file))))
  const log = await openLog(fs, host(1, 2, 3, 4))
  expectReadable(log, live.filter(({ pointer }) => pointer.fid !== GAPS), gone)
  expect(() => log.readSync(live.find(({ pointer }) => pointer.fid === GAPS)!.pointer)).toThrow(CorruptionError)
  await log.close()
})
