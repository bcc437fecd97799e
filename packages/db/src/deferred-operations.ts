/**
 * The records of the value log as operations of the tree: how recovery finds puts that were acknowledged before the WAL said
 * them (docs/adr/0014), and repair what the tree lost. Which of them count is up to those.
 */
import { KIND_POINTER, POINTER_LENGTH, attributesLength, kindWithAttributes, writeAttributes, writePointer } from '@wk/codec'
import type { DependencyPosition, TailOperation } from '@wk/lsm'
import { META_COMMIT } from '@wk/vlog'
import type { ValueLog, ValuePointer, VlogEntry } from '@wk/vlog'

export async function* deferredOperations(vlog: ValueLog, from: DependencyPosition): AsyncGenerator<TailOperation, void, undefined> {
  for await (const { entry, pointer } of vlog.recordsFrom(from)) yield operationOf(entry, pointer)
}

/** The operation that wrote a record, as the tree names it by the record's place. */
export function operationOf({ key, version, meta, userMeta, expiresAt }: VlogEntry, { fid, offset, len }: ValuePointer): TailOperation {
  const payload = new Uint8Array(POINTER_LENGTH + attributesLength(userMeta, expiresAt))
  writePointer(payload, 0, fid, offset, len)
  writeAttributes(payload, POINTER_LENGTH, userMeta, expiresAt)
  return { sequence: version, kind: kindWithAttributes(KIND_POINTER, userMeta, expiresAt), key, payload, commits: (meta & META_COMMIT) !== 0 }
}
