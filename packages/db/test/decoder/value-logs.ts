/** All value logs of a directory, and what a pointer names: docs/format.md, "Value log". */
import { SEQ_MAX, type Pointer } from './entry.js'
import { Bad, check } from './reader.js'
import { openRecord, recordAt, versionOf, type ValueRecord } from './record.js'
import type { LogicalFile } from './run-table.js'
import { decodeValueLog, type FoundRecord, type ValueLog } from './value-log.js'

const NAME = /^(\d{6}|[1-9]\d{6,})\.(vlog|rlog|runs)$/

export const isValueLogName = (name: string): boolean => NAME.test(name)

export class ValueLogs {
  /** By number, ascending. */
  readonly files: readonly ValueLog[]
  /** Lists whose value log is not there: nothing in them counts. */
  readonly orphans: readonly number[]
  readonly #keys: ReadonlyMap<number, Buffer>
  /** The highest number of all names and of what lists say. */
  readonly highest: number
  readonly #ends = new Map<ValueLog, number>()
  readonly #holders = new Map<number, { log: ValueLog; logical: LogicalFile }>()

  /** Of the files of a directory those that are value logs. `keys`: data keys by id. */
  constructor(files: ReadonlyMap<string, Buffer>, keys: ReadonlyMap<number, Buffer>) {
    this.#keys = keys
    const names = [...files.keys()].flatMap((name) => {
      const [, number, kind] = NAME.exec(name) ?? []
      return number === undefined ? [] : [{ name, number: Number(number), kind }]
    })
    const lists = new Map(names.filter(({ kind }) => kind === 'runs').map(({ name, number }) => [number, files.get(name)]))
    const logs: ValueLog[] = []
    for (const { name, number, kind } of names) {
      if (kind !== 'vlog' && kind !== 'rlog') continue
      logs.push(decodeValueLog(kind, files.get(name) ?? Buffer.alloc(0), number, name, lists.get(number)))
    }
    this.files = logs.sort((a, b) => a.number - b.number)
    for (const [i, log] of this.files.entries()) check(this.files[i - 1]?.number !== log.number, log.file, 0, 'a number twice')
    this.orphans = [...lists.keys()].filter((number) => !this.files.some((log) => log.number === number))
    this.highest = Math.max(0, ...this.files.flatMap((log) => [log.number, ...(log.listed ? log.logical.map(({ fid }) => fid) : [])]))
    // The highest-numbered file that holds a logical file counts.
    for (const log of this.files) for (const logical of log.logical) this.#holders.set(logical.fid, { log, logical })
    for (const log of this.files) {
      if (log.kind !== 'rlog' || log.listed || this.#holders.has(log.number)) continue
      const length = log.validEnd - 20
      this.#holders.set(log.number, { log, logical: { fid: log.number, end: log.validEnd, keyId: 0, baseIV: Buffer.alloc(12), direct: true, gap: false, runs: [{ start: 20, length, physical: 20 }] } })
    }
  }

  file(number: number): ValueLog | undefined {
    return this.files.find((log) => log.number === number)
  }

  holder(fid: number): { readonly log: ValueLog; readonly logical: LogicalFile } | undefined {
    return this.#holders.get(fid)
  }

  /** The record that a pointer names. */
  locate({ fid, offset, len }: Pointer): ValueRecord {
    const holder = this.#holders.get(fid)
    if (holder === undefined) throw new Bad(`logical file ${fid}`, offset, 'is not there')
    const { log, logical } = holder
    const run = logical.runs.findLast(({ start }) => start <= offset)
    if (run === undefined || offset + len > run.start + run.length) throw new Bad(log.file, offset, `(${fid}, ${offset}, ${len}) lies in no run`)
    const at = run.physical + offset - run.start
    const record = recordAt(log.bytes, at, at + len)
    if (record?.len !== len) throw new Bad(log.file, at, `no record of (${fid}, ${offset}, ${len})`)
    return openRecord(log.bytes, record, { keyId: logical.keyId, baseIV: logical.baseIV, offset }, this.#keys, log.file)
  }

  /** Where the valid part of a `.vlog` ends that may have a torn tail: in an encrypted one also at a record that says a version no database comes to. */
  endOf(log: ValueLog): number {
    const known = this.#ends.get(log)
    if (known !== undefined) return known
    const noise = log.found.find(({ record, logical, offset }) => logical.keyId !== 0 && versionOf(log.bytes, record, { ...logical, offset }, this.#keys, log.file) > SEQ_MAX)
    const end = noise?.record.at ?? log.validEnd
    this.#ends.set(log, end)
    return end
  }

  open(log: ValueLog, { record, logical, offset }: FoundRecord): ValueRecord {
    return openRecord(log.bytes, record, { keyId: logical.keyId, baseIV: logical.baseIV, offset }, this.#keys, log.file)
  }
}
