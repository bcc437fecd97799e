/** A `.vlog` or `.rlog`, with the `.runs` beside it: docs/format.md, "Value log". What every byte is, and which records are there. */
import { check, checkTiles, MOST, type Part } from './reader.js'
import { recordsFrom, type RawRecord } from './record.js'
import { decodeRunTable, type LogicalFile } from './run-table.js'

/** Of holes. */
const BLOCK = 4096

export interface FoundRecord {
  readonly record: RawRecord
  readonly logical: LogicalFile
  /** In the logical file. */
  readonly offset: number
}

export interface ValueLog {
  readonly kind: 'vlog' | 'rlog'
  readonly number: number
  readonly file: string
  readonly bytes: Buffer
  readonly logical: readonly LogicalFile[]
  /** A `.runs` lies beside it. */
  readonly listed: boolean
  readonly found: readonly FoundRecord[]
  /** They are the file. */
  readonly parts: readonly Part[]
  /** First byte that starts no valid record: the end, but for a torn tail. */
  readonly validEnd: number
}

export function decodeValueLog(kind: 'vlog' | 'rlog', bytes: Buffer, number: number, file: string, list?: Buffer): ValueLog {
  const size = bytes.length
  const whole = { kind, number, file, bytes, listed: list !== undefined }
  // A file of at most 20 bytes has no records, and nobody looks at its header.
  if (kind === 'vlog' && size <= 20) return { ...whole, logical: [], found: [], parts: [[0, size, 'header']], validEnd: size }
  check(kind === 'rlog' || bytes.readBigUInt64BE(0) <= BigInt(MOST), file, 0, 'data key id')
  const own = kind === 'rlog' ? decodeRunTable(bytes, number, file, undefined) : undefined
  const recordsEnd = own?.at ?? size
  const listed = list === undefined ? undefined : decodeRunTable(list, number, file.replace(/[a-z]+$/, 'runs'), { kind, recordsEnd })
  const table = listed ?? own
  const read = table === undefined ? plainFile(bytes, number) : filesByRuns(bytes, table.logical, file, recordsEnd, list !== undefined)
  const parts: Part[] = [[0, 20, 'header'], ...read.parts]
  if (own !== undefined) parts.push([recordsEnd, size - 40, 'run table'], [size - 40, size, 'footer'])
  checkTiles(parts, size, file)
  return { ...whole, ...read, parts }
}

type Read = Pick<ValueLog, 'logical' | 'found' | 'parts' | 'validEnd'>

/** Logical file n is the file n. */
function plainFile(bytes: Buffer, number: number): Read {
  const size = bytes.length
  const keyId = Number(bytes.readBigUInt64BE(0))
  const logical: LogicalFile = { fid: number, end: size, keyId, baseIV: bytes.subarray(8, 20), direct: false, gap: false, runs: [{ start: 20, length: size - 20, physical: 20 }] }
  const { records, end } = recordsFrom(bytes, 20, size)
  const parts: Part[] = records.map((record) => [record.at, record.at + record.len, 'record'])
  if (end < size) parts.push([end, size, 'tail'])
  return { logical: [logical], found: records.map((record) => ({ record, logical, offset: record.at })), parts, validEnd: end }
}

/** Logical files lie where their runs say. */
function filesByRuns(bytes: Buffer, logical: readonly LogicalFile[], file: string, recordsEnd: number, isListed: boolean): Read {
  const parts: Part[] = []
  const found: FoundRecord[] = []
  let at = 20
  const dead = (to: number): void => {
    if (to <= at) return
    check(isListed, file, at, `bytes up to ${to} of an .rlog that no run covers`)
    // Blocks that no run touches, behind the header: where blocks were given back these are zeros.
    const [from, until] = [Math.max(BLOCK, Math.ceil(at / BLOCK) * BLOCK), Math.floor(to / BLOCK) * BLOCK]
    if (from < until) {
      if (at < from) parts.push([at, from, 'outside of runs'])
      parts.push([from, until, 'hole'])
      at = until
    }
    if (at < to) parts.push([at, to, 'outside of runs'])
    at = to
  }
  const runs = logical.flatMap((l) => l.runs.map((run) => ({ run, l }))).sort((a, b) => a.run.physical - b.run.physical)
  for (const { run, l } of runs) {
    dead(run.physical)
    const runEnd = run.physical + run.length
    const { records, end } = recordsFrom(bytes, run.physical, runEnd)
    for (const record of records) {
      const recordEnd = record.at + record.len
      check(record.at >= at || recordEnd <= at, file, record.at, 'two addresses cut a record in two ways')
      if (record.at >= at) parts.push([record.at, recordEnd, l.gap ? 'record in a gap' : 'record'])
      at = Math.max(at, recordEnd)
      found.push({ record, logical: l, offset: run.start + record.at - run.physical })
    }
    check(end === runEnd || l.gap, file, end, 'damage in a run')
    if (end < runEnd) parts.push([end, runEnd, 'rest of a gap'])
    at = Math.max(at, runEnd)
  }
  dead(recordsEnd)
  return { logical, found, parts, validEnd: recordsEnd }
}
