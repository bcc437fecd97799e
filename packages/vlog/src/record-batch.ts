/**
 * Records that are to be read together, as columns: a batch of thousands is made and read without an object for each.
 */
import { InvalidArgumentError, isU32, type ValuePointer } from '@wk/codec'

/** A value to read, and whose it must be. */
export interface ValueRequest {
  pointer: ValuePointer
  key: Uint8Array
  version: number
}

/** Places of records. */
export class RecordBatch {
  readonly fids: number[] = []
  readonly offsets: number[] = []
  readonly lens: number[] = []

  get count(): number {
    return this.fids.length
  }

  addPointer({ fid, offset, len }: ValuePointer): void {
    this.addPlace(fid, offset, len)
  }

  protected addPlace(fid: number, offset: number, len: number): void {
    this.fids.push(fid)
    this.offsets.push(offset)
    this.lens.push(len)
  }
}

/** Values to read, each with whose it must be and where it goes. */
export class ValueBatch extends RecordBatch {
  /** The values, by slot. Reading fills the slots that were asked for; the others are the caller's. */
  readonly values: (Uint8Array | undefined)[] = []
  readonly slots: number[] = []
  readonly keys: Uint8Array[] = []
  readonly versions: number[] = []

  /**
   * The value of `key` at `version` goes to `values[slot]`. The key's bytes must not change until it was read. For hot paths: `readValues` checks the rest.
   * @throws InvalidArgumentError for a slot that is none: slots are made up to there
   */
  add(slot: number, fid: number, offset: number, len: number, key: Uint8Array, version: number): void {
    if (!isU32(slot)) throw new InvalidArgumentError('expected: a slot from 0')
    // Values come in the order of their places: an array that they filled from its end would become a hash table.
    while (this.values.length <= slot) this.values.push(undefined)
    this.addPlace(fid, offset, len)
    this.slots.push(slot)
    this.keys.push(key)
    this.versions.push(version)
  }
}
