/**
 * `versions()`: the history of one key, as far as it is kept.
 *
 * Newest first, at most `numVersionsToKeep`, down to the first deletion or expired version: exactly what a compaction
 * keeps, so that the answer does not depend on whether one has run.
 */
import { KIND_POINTER, KIND_TOMBSTONE, baseKind, compareRanges, copyBytes, readPayload } from '@wk/codec'
import type { EntryCursor, PayloadView } from '@wk/codec'
import type { LoopGuard } from '@wk/fs'
import type { LsmTree } from '@wk/lsm'
import { pointerAt } from './entry-reader.js'
import type { Entry, EntryReader, StoredValue } from './entry-reader.js'

/** Versions looked at between two questions for the time. */
const STEPS = 64

/** `nowMs`: what expired by then is not there. The key must not change until it resolves. */
export async function listVersions(tree: LsmTree, reader: EntryReader, guard: LoopGuard, key: Uint8Array, most: number, nowMs: number): Promise<Entry[]> {
  const view = tree.acquireView()
  try {
    const cursor = tree.entries(view, { range: { gte: key, lte: key } })
    cursor.seek(key, tree.visibleSequence)
    const payload: PayloadView = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
    const versions: Omit<Entry, 'value'>[] = []
    const values: (Uint8Array | StoredValue)[] = []
    for (; versions.length < most && isVersionOf(key, cursor) && baseKind(cursor.kind) !== KIND_TOMBSTONE; cursor.next()) {
      const { kind, valueBytes, valueStart, valueEnd, sequence } = cursor
      readPayload(kind, valueBytes, valueStart, valueEnd, payload)
      const { userMeta, expiresAt } = payload
      if (expiresAt !== 0 && expiresAt <= Math.floor(nowMs / 1000)) break
      versions.push({ key: copyBytes(key), version: sequence, expiresAt, userMeta })
      if (baseKind(kind) === KIND_POINTER) values.push({ pointer: pointerAt(valueBytes, valueStart), key, version: sequence })
      else values.push(copyBytes(valueBytes, payload.valueStart, payload.valueEnd))
      if (versions.length % STEPS === 0) await guard.due()
    }
    // The view keeps the value logs of old versions until they are read.
    const read = await reader.fill(values)
    return versions.map((version, i) => ({ ...version, value: read[i] as Uint8Array }))
  } finally {
    view.release()
  }
}

function isVersionOf(key: Uint8Array, cursor: EntryCursor): boolean {
  return cursor.valid && compareRanges(cursor.keyBytes, cursor.keyStart, cursor.keyEnd, key, 0, key.length) === 0
}
