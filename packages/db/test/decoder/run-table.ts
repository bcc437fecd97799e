/** Run table of an `.rlog`, or of the `.runs` beside a value log: docs/format.md, "NNNNNN.rlog", "NNNNNN.runs", "Gap files". */
import { crc32c, u64 } from './checksum.js'
import { allZero, check, checkTiles, Reader } from './reader.js'

export interface Run {
  readonly start: number
  readonly length: number
  readonly physical: number
}

/** A logical file, and where what is left of it lies. */
export interface LogicalFile {
  readonly fid: number
  readonly end: number
  readonly keyId: number
  readonly baseIV: Buffer
  readonly direct: boolean
  readonly gap: boolean
  readonly runs: readonly Run[]
}

export interface RunTable {
  readonly logical: readonly LogicalFile[]
  /** Where it begins. */
  readonly at: number
}

/** A `.runs`: which value log it lies beside, and where the records of that end. */
export interface Beside {
  readonly kind: 'vlog' | 'rlog'
  readonly recordsEnd: number
}

const FOOTER = 40
const magic = (hex: string): Buffer => Buffer.from(hex, 'hex')

/** `beside` is undefined for the table of an `.rlog` itself. */
export function decodeRunTable(bytes: Buffer, number: number, file: string, beside: Beside | undefined): RunTable {
  const size = bytes.length
  check(size >= 20 + FOOTER, file, 0, 'too short')
  const header = new Reader(bytes, file)
  header.expect(magic(beside === undefined ? '574b524c4f470001' : '574b52554e530001'), 'magic')
  header.check(header.u64() === number, 'number')
  header.check(header.u32() === crc32c(bytes.subarray(0, 16)), 'checksum of the header')

  const footer = new Reader(bytes, file, { at: size - FOOTER })
  const at = footer.u64()
  const length = footer.u64()
  const count = footer.u32()
  const direct = footer.u32()
  footer.check(at >= 20 && at + length === size - FOOTER && (beside === undefined || at === 20), 'place of the table')
  footer.check(footer.u32() === crc32c(u64(number), u64(at), bytes.subarray(at, size - 16)), 'checksum of the table')
  footer.check(footer.u32() === 0, 'zeros')
  footer.expect(magic('574b524c454e4401'), 'magic of the footer')
  footer.check(count >= 1 && direct <= count, 'numbers of logical files')
  if (beside !== undefined) checkTiles([[0, 20, 'header'], [at, size - FOOTER, 'table'], [size - FOOTER, size, 'footer']], size, file)

  const r = new Reader(bytes, file, { at, end: size - FOOTER })
  const logical: LogicalFile[] = []
  for (let i = 0; i < count; i++) {
    const one = decodeLogical(r, number, beside, i >= count - direct, beside?.recordsEnd ?? at)
    const before = logical.at(-1)
    r.check(before === undefined || before.direct !== one.direct || before.fid < one.fid, 'order of logical files')
    logical.push(one)
  }
  r.done('the run table')
  // Only the file's own address may be a second one, and only of what does not lie in gaps.
  checkApart(logical.filter(({ fid }) => fid !== number), file)
  checkApart(logical.filter(({ fid }) => fid >= number), file)
  return { logical, at }
}

function decodeLogical(r: Reader, number: number, beside: Beside | undefined, direct: boolean, recordsEnd: number): LogicalFile {
  const [fid, end, keyId, baseIV, count] = [r.u32(), r.u32(), r.u64(), r.bytes(12), r.u32()]
  const gap = beside !== undefined && fid > number
  r.check(fid >= 1 && (beside !== undefined || fid < number), 'fid')
  r.check(!direct || keyId === 0, 'direct file that is encrypted')
  r.check(!gap || (!direct && keyId === 0 && allZero(baseIV)), 'gap file that is direct or encrypted')
  r.check(beside === undefined || fid !== number || direct === (beside.kind === 'rlog'), 'direct or not')
  r.check(count >= 1 && count <= r.left / 16, 'number of runs')
  const runs: Run[] = []
  for (let i = 0, last = 20; i < count; i++) {
    const run = { start: r.u32(), length: r.u32(), physical: r.u64() }
    r.check(run.start >= last && run.length >= 17 && run.start + run.length <= end, 'run')
    r.check(run.physical >= 20 && run.physical + run.length <= recordsEnd, 'run lies outside')
    last = run.start + run.length
    runs.push(run)
  }
  return { fid, end, keyId, baseIV, direct, gap, runs }
}

function checkApart(logical: readonly LogicalFile[], file: string): void {
  const runs = logical.flatMap((l) => l.runs).sort((a, b) => a.physical - b.physical)
  let end = 0
  for (const run of runs) {
    check(run.physical >= end, file, run.physical, 'runs overlap')
    end = run.physical + run.length
  }
}
