/**
 * Replays scanned logs into memtables, and these into tables when there is somebody to write them.
 *
 * A frame goes in whole or not at all: all its pointers are checked first. The first one that does not resolve ends the
 * replay, there and for everything after it, unless the value log was promised to be durable there: then it is
 * corruption (CR9). Where the logs end in order, what the value log alone holds follows (`deferred-tail.ts`). Nothing is
 * published here.
 */
import { ByteReader, CorruptionError, KIND_POINTER, POINTER_LENGTH, baseKind, formatFileName, readPointerFid, readPointerLen, readPointerOffset } from '@wk/codec'
import { Memtable } from '@wk/memtable'
import type { TableSummary } from '@wk/sstable'
import { flushCountBound } from './compaction/job.js'
import { DeferredTail } from './deferred-tail.js'
import type { TailOperation } from './deferred-tail.js'
import { readWalOperation } from './log/format.js'
import { readWals } from './log/log-reader.js'
import type { WalFrame, WalScan } from './log/log-reader.js'
import type { DependencyPosition } from './options.js'
import { jobOptionsOf, runWithRetries } from './run-job.js'
import type { TreeContext } from './tree-context.js'

/** Says whether the record that a pointer names is there and belongs to this version of this key. */
export type PointerCheck = (key: Uint8Array, sequence: number, fid: number, offset: number, len: number) => boolean

export interface ReplayResult {
  /** New tables of level 0; none where nothing may be written. */
  tables: TableSummary[]
  /** Highest sequence number that was seen, taken over or not. */
  highestSequence: number
}

/** Where operations are to be found, and up to where they can be believed. */
export interface ReplaySource {
  scan: WalScan
  /** Sequence number of the last operation that is in tables. */
  lastSequence: number
  /** Position up to which the value log was promised to be durable. */
  durable: DependencyPosition | undefined
  /** Position of the value log before which nothing belongs to an operation after `lastSequence`. */
  unflushed: DependencyPosition | undefined
  verifyPointer: PointerCheck | undefined
  /** Records of the value log from a position on, in order. */
  tail: ((from: DependencyPosition) => AsyncIterable<TailOperation>) | undefined
}

/** Replays into the memtables of the context. With `readOnly` they all stay in memory. */
export async function replayWals(context: TreeContext, source: ReplaySource): Promise<ReplayResult> {
  const { dir, options, memtables } = context
  const { scan, durable, verifyPointer, tail } = source
  const result: ReplayResult = { tables: [], highestSequence: 0 }
  let { lastSequence, unflushed } = source
  let isCut = false
  const roll = async (capacity: number): Promise<void> => {
    const sealed = memtables.rotate(capacity)
    if (options.readOnly || sealed.memtable.count === 0) return
    result.tables.push(...(await flush(context, sealed.memtable)))
    memtables.drop(sealed)
    memtables.recycle((memtable) => context.views.holdsMemtable(memtable))
  }
  for await (const frame of readWals({ fs: options.fs, dir, runtime: options.runtime }, scan)) {
    const { prefix, operations } = frame
    const { offset, remaining } = operations
    const dangling = verifyPointer === undefined ? undefined : findDangling(frame, verifyPointer)
    if (dangling !== undefined) {
      if (isBelow(dangling, durable)) throw danglingPointer(frame)
      isCut = true
      break
    }
    if (!memtables.active.memtable.hasRoomFor(prefix.count, remaining)) await roll(Memtable.capacityFor(prefix.count, remaining))
    operations.offset = offset
    unflushed = addOperations(memtables.active.memtable, frame) ?? unflushed
    lastSequence = prefix.firstSequence + prefix.count - 1
  }
  if (tail !== undefined && !isCut) {
    const follower = new DeferredTail(lastSequence)
    for await (const operation of tail(unflushed ?? NOWHERE)) {
      if (!follower.accepts(operation)) continue
      const { key, sequence, kind, payload } = operation
      if (!memtables.active.memtable.hasRoom(key.length, payload.length)) await roll(Memtable.capacityFor(1, key.length + payload.length))
      memtables.active.memtable.add(key, sequence, kind, payload, 0, payload.length)
    }
    result.highestSequence = follower.highestSequence
  }
  if (memtables.active.memtable.count > 0) await roll(0)
  return result
}

/** Before every record. */
const NOWHERE: DependencyPosition = { fid: 0, offset: 0 }

async function flush(context: TreeContext, memtable: Memtable): Promise<TableSummary[]> {
  const description = memtable.describe()
  const count = flushCountBound(memtable.usedBytes, jobOptionsOf(context.options))
  const { tables } = await runWithRetries(
    context,
    count,
    (setting) => ({ type: 'flush', memtable: description, ...setting }),
    context.lifecycle.signal,
  )
  return tables
}

/** The first pointer of a frame that does not resolve. Reads the operations to their end, which must be the frame's. */
function findDangling({ prefix, operations }: WalFrame, verifyPointer: PointerCheck): DependencyPosition | undefined {
  for (let i = 0; i < prefix.count; i++) {
    const { kind, key, payload } = readWalOperation(operations)
    if (baseKind(kind) !== KIND_POINTER) continue
    expectPointer(operations, payload)
    const fid = readPointerFid(payload, 0)
    const offset = readPointerOffset(payload, 0)
    if (!verifyPointer(key, prefix.firstSequence + i, fid, offset, readPointerLen(payload, 0))) return { fid, offset }
  }
  return undefined
}

/** Resolves to the end of the last record that a pointer of the frame names. */
function addOperations(memtable: Memtable, { prefix, operations }: WalFrame): DependencyPosition | undefined {
  let end: DependencyPosition | undefined
  for (let i = 0; i < prefix.count; i++) {
    const { kind, key, payload } = readWalOperation(operations)
    if (baseKind(kind) === KIND_POINTER) {
      expectPointer(operations, payload)
      end = { fid: readPointerFid(payload, 0), offset: readPointerOffset(payload, 0) + readPointerLen(payload, 0) }
    }
    memtable.add(key, prefix.firstSequence + i, kind, payload, 0, payload.length)
  }
  operations.expectEnd()
  return end
}

function expectPointer(reader: ByteReader, payload: Uint8Array): void {
  if (payload.length < POINTER_LENGTH) throw reader.corrupt('a cut value pointer')
}

function isBelow(position: DependencyPosition, durable: DependencyPosition | undefined): boolean {
  if (durable === undefined) return false
  return position.fid < durable.fid || (position.fid === durable.fid && position.offset < durable.offset)
}

function danglingPointer(frame: WalFrame): CorruptionError {
  const file = formatFileName('wal', frame.file)
  return new CorruptionError(`a value that was durable is missing: ${file} at offset ${frame.offset}`, { file, offset: frame.offset })
}
