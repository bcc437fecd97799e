/**
 * The records of the value log as operations of the tree: how recovery finds puts that were acknowledged before the WAL said
 * them (docs/adr/0014). Which of them count is up to the tree.
 */
import { KIND_POINTER, POINTER_LENGTH, attributesLength, kindWithAttributes, writeAttributes, writePointer } from '@wk/codec'
import type { DependencyPosition, TailOperation } from '@wk/lsm'
import { META_COMMIT } from '@wk/vlog'
import type { PlacedEntry, ValueLog } from '@wk/vlog'

export async function* deferredOperations(vlog: ValueLog, from: DependencyPosition): AsyncGenerator<TailOperation, void, undefined> {
  for await (const placed of vlog.recordsFrom(from)) yield operationOf(placed)
}

function operationOf({ entry, pointer }: PlacedEntry): TailOperation {
  const { key, version, meta, userMeta, expiresAt } = entry
  return { sequence: version, key, ...pointerPayload(pointer, userMeta, expiresAt), commits: (meta & META_COMMIT) !== 0 }
}

/** Kind and payload of an entry whose value is the record at a place. */
export function pointerPayload({ fid, offset, len }: PlacedEntry['pointer'], userMeta: number, expiresAt: number): { kind: number; payload: Uint8Array } {
  const payload = new Uint8Array(POINTER_LENGTH + attributesLength(userMeta, expiresAt))
  writePointer(payload, 0, fid, offset, len)
  writeAttributes(payload, POINTER_LENGTH, userMeta, expiresAt)
  return { kind: kindWithAttributes(KIND_POINTER, userMeta, expiresAt), payload }
}
