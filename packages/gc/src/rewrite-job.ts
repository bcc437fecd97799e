/**
 * Collecting one file for any host: the article's algorithm, made safe.
 *
 * Read the victim in order, ask the index which records it still points to, append those, swap the pointers, give the
 * file up. The order of steps is the guarantee, at every crash and beside every concurrent write:
 *
 * 1. survivors are appended, then synced, *before* any pointer to them exists (law 3);
 * 2. pointers move by compare-and-swap only: an overwrite or a delete that came between wins, and the copy is garbage;
 * 3. the index is durable at least up to everything that `lookup` answered, *before* the file is given up (law 5);
 * 4. damage ends the job and keeps the file (law 6).
 *
 * Picking, one-at-a-time and reports are the collector's; pins and unlinking are the value log's.
 */

import { ConflictError, compareBytes, invariant, samePointer, throwIfAborted } from '@wk/codec'
import { lookupPointers, swapPointers } from './index-calls.js'
import type { PointerMove } from './pointer-index.js'
import { readSlices, selectLive, sumLengths, type PlacedRecord, type ScanContext } from './slices.js'
import type { GcAppend, GcFileInfo } from './value-log.js'

/**
 * Bits of the meta byte that belong to the value: Badger's, and ours for a compressed one (0x10). The others tell where a record lies (0x02) or that it belongs to
 * a transaction's log (0x40, 0x80), and are Badger's to set anew.
 */
const KEPT_META = 0x1d

/** Times a swap is tried again when the host refused it although the key still points into the victim. */
const SWAP_ATTEMPTS = 4

export interface RewriteContext extends ScanContext {
  /** Called after each slice with the bytes read and the bytes moved in it. */
  readonly onSlice?: (bytesRead: number, bytesMoved: number) => void
}

export interface RewriteResult {
  /** Records read. */
  readonly records: number
  /** Records whose pointer was moved. */
  readonly moved: number
  /** Bytes of records whose pointer was moved. */
  readonly bytesMoved: number
  /** Bytes appended for records that lost their swap: garbage from birth. */
  readonly bytesLost: number
}

/**
 * Moves what is live in `file` and gives the file up.
 *
 * Throws `AbortedError` between slices, `CorruptionError` at damage, or what the log or the host failed with; the
 * file is then kept and every key still reads its value: what was moved so far stays moved.
 */
export async function rewriteFile(context: RewriteContext, file: GcFileInfo): Promise<RewriteResult> {
  let records = 0
  let moved = 0
  let bytesMoved = 0
  let bytesLost = 0
  for await (const slice of readSlices(context, file)) {
    const live = await selectLive(context.index, slice)
    const outcome = await moveRecords(context, live)
    records += slice.length
    moved += outcome.moved
    bytesMoved += outcome.bytesMoved
    bytesLost += outcome.bytesLost
    context.onSlice?.(sumLengths(slice), outcome.bytesMoved)
  }
  throwIfAborted(context.signal)
  // Law 5: a record was left behind because the index pointed elsewhere or nowhere. If a crash could take the index back to
  // before that, it would point into a file that is gone. First the bytes such pointers name, then the pointers.
  await context.vlog.sync()
  await swapPointers(context.index, [])
  await context.vlog.retire(file.fid)
  return { records, moved, bytesMoved, bytesLost }
}

interface MoveResult {
  moved: number
  bytesMoved: number
  bytesLost: number
}

async function moveRecords(context: RewriteContext, live: readonly PlacedRecord[]): Promise<MoveResult> {
  if (live.length === 0) return { moved: 0, bytesMoved: 0, bytesLost: 0 }
  await context.throttle.take(sumLengths(live), context.signal)
  const targets = await context.vlog.append(live.map(({ entry }) => survivorOf(entry)), { stored: true, survivors: true })
  // Law 3: no pointer before its bytes are on the device.
  await context.vlog.sync()
  const moves = live.map(({ entry, pointer }, at): PointerMove => {
    const to = targets[at]
    invariant(to !== undefined, 'the value log answers one pointer a record')
    return { key: entry.key, from: pointer, to }
  })
  return swapAll(context, moves.sort((a, b) => compareBytes(a.key, b.key)))
}

function survivorOf(entry: PlacedRecord['entry']): GcAppend {
  const { key, value, version, meta, userMeta, expiresAt } = entry
  return { key, value, version, meta: meta & KEPT_META, userMeta, expiresAt }
}

/**
 * Swaps every move or learns that it lost for good. A refusal counts as lost only if the key points elsewhere by now: a host that
 * refuses for a reason of its own (a write conflict of its transaction) is asked again, because taking its word
 * would leave a pointer into a file that goes.
 */
async function swapAll(context: RewriteContext, moves: readonly PointerMove[]): Promise<MoveResult> {
  const result = { moved: 0, bytesMoved: 0, bytesLost: 0 }
  let pending = moves
  for (let attempt = 0; pending.length > 0; attempt++) {
    if (attempt === SWAP_ATTEMPTS) {
      for (const { to } of pending) context.vlog.discard(to)
      throw new ConflictError('the index keeps refusing to move pointers that are current')
    }
    const won = await swapPointers(context.index, pending).catch(async (error: unknown) => {
      await settleUnknown(context, result, pending)
      throw error
    })
    const refused = pending.filter((_, at) => won[at] !== true)
    for (const move of pending.filter((_, at) => won[at] === true)) settleMove(context, result, move, true)
    if (refused.length === 0) break
    const current = await lookupPointers(context.index, refused.map(({ key }) => key))
    pending = refused.filter((move, at) => {
      if (isSame(current[at], move.from)) return true
      settleMove(context, result, move, isSame(current[at], move.to))
      return false
    })
  }
  return result
}

/** A swap failed: which moves were applied only the index can tell. If it can't either, the figures stay too low. */
async function settleUnknown(context: RewriteContext, result: MoveResult, moves: readonly PointerMove[]): Promise<void> {
  const current = await lookupPointers(context.index, moves.map(({ key }) => key)).catch(() => undefined)
  if (current !== undefined) moves.forEach((move, at) => settleMove(context, result, move, isSame(current[at], move.to)))
}

/** Counts the side that is garbage now. The old record too, so that figures stay exact if the pass ends before the file does. */
function settleMove(context: RewriteContext, result: MoveResult, { from, to }: PointerMove, hasMoved: boolean): void {
  context.vlog.discard(hasMoved ? from : to)
  if (hasMoved) {
    result.moved++
    result.bytesMoved += to.len
  } else {
    result.bytesLost += to.len
  }
}

function isSame(current: PointerMove['from'] | undefined, expected: PointerMove['from']): boolean {
  return current !== undefined && samePointer(current, expected)
}
