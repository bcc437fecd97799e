/**
 * What a reader sees: of each user key in a range the newest version at or below a sequence number, unless that is a
 * tombstone or expired. Forward or reverse, as the entries below it.
 *
 * The views of the current entry hold until the cursor moves. Forward they are those of the source; in reverse, where
 * a key's versions come oldest first and the newest is known only after the source has left it, they are copies in
 * buffers that the cursor reuses.
 *
 * Between two visible entries any number of others may lie: deleted, expired, newer than the reader. A move that has passed
 * many of them stops short and is `paused`: the caller lets others run if their time has come, and goes on with `resume()`.
 */
import { KIND_TOMBSTONE, MAX_SEQUENCE, NO_BYTES, baseKind, compareBytes, compareRanges, readExpiresAt } from '@wk/codec'
import type { EntryCursor, KeyRange } from '@wk/codec'

export interface VisibleCursorOptions {
  /** Entries above it are not seen. */
  sequence: number
  /** Unix seconds: entries with a smaller or equal expiry are not seen. */
  now: number
  /** Must agree with the direction of the entries, if that is fixed. Default false. */
  reverse?: boolean
  /** Bounds of the user keys; `gte` counts before `gt`, `lte` before `lt`. The bytes must not change. */
  range?: KeyRange
  /** Entries that one move passes at most without finding a visible one. Default 256: some 0.1 ms. */
  patience?: number
}

/** Versions of one key that are stepped over one by one before a seek jumps over the rest. */
const STEPS_BEFORE_SEEK = 8

/** In reverse, where a seek to the newest version that is seen takes some tens of others: versions of one key that are stepped over one by one before. */
const STEPS_BEFORE_SEARCH = 64

/** Default of {@link VisibleCursorOptions.patience}. */
const PATIENCE = 256

export class VisibleCursor {
  readonly reverse: boolean
  readonly #entries: EntryCursor
  readonly #sequence: number
  readonly #now: number
  readonly #lower: Uint8Array | undefined
  readonly #lowerOpen: boolean
  readonly #upper: Uint8Array | undefined
  readonly #upperOpen: boolean
  readonly #isEmptyRange: boolean
  readonly #patience: number

  /** The last move stopped short of a visible entry, which may or may not come: `resume()` looks on. Not `valid` then. */
  paused = false
  /** The current entry (`EntryCursor` says what they mean); undefined content unless `valid`. */
  valid = false
  keyBytes: Uint8Array = NO_BYTES
  keyStart = 0
  keyEnd = 0
  sequence = 0
  kind = 0
  valueBytes: Uint8Array = NO_BYTES
  valueStart = 0
  valueEnd = 0

  /** Copy of the current key. */
  #key = new Uint8Array(64)
  #keyLength = 0
  #value: Uint8Array = NO_BYTES

  /** Takes over `entries`. It starts beside all entries: `first` or `seek` comes next. */
  constructor(entries: EntryCursor, options: VisibleCursorOptions) {
    const { gt, gte, lt, lte } = options.range ?? {}
    this.reverse = options.reverse ?? false
    this.#entries = entries
    this.#sequence = options.sequence
    this.#now = options.now
    this.#lower = gte ?? gt
    this.#lowerOpen = gte === undefined
    this.#upper = lte ?? lt
    this.#upperOpen = lte === undefined
    this.#patience = options.patience ?? PATIENCE
    this.#isEmptyRange = isEmpty(this.#lower, this.#lowerOpen, this.#upper, this.#upperOpen)
  }

  /** To the first visible entry of the range in the cursor's direction. */
  first(): void {
    this.#leave()
    if (this.#isEmptyRange) return
    if (this.reverse) this.#seekBackward(this.#upper, this.#upperOpen)
    else this.#seekForward(this.#lower, this.#lowerOpen)
  }

  /**
   * To the first visible entry at or after `userKey`, in reverse to the last one at or before it. A key that lies
   * before the whole range, in the cursor's direction, is taken as the range's own start.
   */
  seek(userKey: Uint8Array): void {
    this.#leave()
    if (this.#isEmptyRange) return
    if (this.reverse) {
      if (this.#upper !== undefined && compareBytes(userKey, this.#upper) >= 0) this.#seekBackward(this.#upper, this.#upperOpen)
      else this.#seekBackward(userKey, false)
    } else if (this.#lower !== undefined && compareBytes(userKey, this.#lower) <= 0) this.#seekForward(this.#lower, this.#lowerOpen)
    else this.#seekForward(userKey, false)
  }

  /** To the next visible entry in the cursor's direction. Requires `valid`. */
  next(): void {
    this.valid = false
    if (this.reverse) this.#findBackward()
    else {
      this.#skipRestOfKey()
      this.#findForward()
    }
  }

  /** Goes on with a move that stopped short. Requires `paused`. */
  resume(): void {
    this.paused = false
    if (this.reverse) this.#findBackward()
    else this.#findForward()
  }

  #leave(): void {
    this.valid = false
    this.paused = false
  }

  #seekForward(from: Uint8Array | undefined, open: boolean): void {
    const entries = this.#entries
    if (from === undefined) entries.first()
    else if (open) {
      // The last possible place of this key; it may hold an entry with sequence number 0.
      entries.seek(from, 0)
      while (entries.valid && compareRanges(entries.keyBytes, entries.keyStart, entries.keyEnd, from, 0, from.length) === 0) entries.next()
    } else entries.seek(from, this.#sequence)
    this.#findForward()
  }

  /** Requires that the entries stand at the newest unread version of a key that was not judged yet, or beside all. */
  #findForward(): void {
    const entries = this.#entries
    let newer = 0
    for (let passed = 0; entries.valid; passed++) {
      if (this.#isAfterUpper(entries)) return
      if (passed === this.#patience) {
        this.paused = true
        return
      }
      if (entries.sequence > this.#sequence) {
        if (++newer % STEPS_BEFORE_SEEK !== 0) entries.next()
        else {
          this.#holdKey(entries)
          entries.seek(this.#key.subarray(0, this.#keyLength), this.#sequence)
        }
        continue
      }
      this.#holdKey(entries)
      if (this.#isVisible(entries)) {
        this.#show(entries)
        return
      }
      this.#skipRestOfKey()
    }
  }

  /** Moves the entries past all versions of the held key. Requires that they stand at one of them. */
  #skipRestOfKey(): void {
    const entries = this.#entries
    for (let steps = 0; ; steps++) {
      if (steps === STEPS_BEFORE_SEEK) entries.seek(this.#key.subarray(0, this.#keyLength), 0)
      else entries.next()
      if (!entries.valid || !this.#isHeldKey(entries)) return
    }
  }

  #seekBackward(from: Uint8Array | undefined, open: boolean): void {
    const entries = this.#entries
    if (from === undefined) entries.last()
    else if (open) {
      entries.seekReverse(from, MAX_SEQUENCE)
      while (entries.valid && compareRanges(entries.keyBytes, entries.keyStart, entries.keyEnd, from, 0, from.length) === 0) entries.prev()
    } else entries.seekReverse(from, 0)
    this.#findBackward()
  }

  /** Requires that the entries stand at the oldest version of a key that was not judged yet, or beside all. */
  #findBackward(): void {
    const entries = this.#entries
    for (let passed = 0; entries.valid; passed++) {
      if (this.#isBeforeLower(entries)) return
      if (passed === this.#patience) {
        this.paused = true
        return
      }
      this.#holdKey(entries)
      let seen = false
      for (let steps = 0; entries.valid && this.#isHeldKey(entries); steps++) {
        if (entries.sequence > this.#sequence) {
          // Newer than the reader: so is the rest of this key.
          if (steps >= STEPS_BEFORE_SEEK) this.#leaveKeyBackward()
          else entries.prev()
          continue
        }
        seen = this.#isVisible(entries)
        if (seen) this.#copy(entries)
        if (steps < STEPS_BEFORE_SEARCH) entries.prev()
        else {
          seen = this.#searchNewest(entries.sequence, seen)
          this.#leaveKeyBackward()
          break
        }
      }
      if (seen) {
        this.valid = true
        return
      }
    }
  }

  /**
   * Finds the newest version of the held key that the reader sees, by bisection: a reverse merge finds the oldest from a sequence number on.
   * `low`: of one that it sees, the current one, of which `seen` says whether it is visible. Returns whether the newest is.
   */
  #searchNewest(low: number, seen: boolean): boolean {
    const entries = this.#entries
    const key = this.#key.subarray(0, this.#keyLength)
    let high = this.#sequence
    while (low < high) {
      const middle = low + Math.ceil((high - low) / 2)
      entries.seekReverse(key, middle)
      if (entries.valid && entries.sequence <= this.#sequence && this.#isHeldKey(entries)) {
        seen = this.#isVisible(entries)
        if (seen) this.#copy(entries)
        low = entries.sequence
      } else high = middle - 1
    }
    return seen
  }

  #leaveKeyBackward(): void {
    const entries = this.#entries
    entries.seekReverse(this.#key.subarray(0, this.#keyLength), MAX_SEQUENCE)
    while (entries.valid && this.#isHeldKey(entries)) entries.prev()
  }

  #isVisible(entries: EntryCursor): boolean {
    if (baseKind(entries.kind) === KIND_TOMBSTONE) return false
    const expiresAt = readExpiresAt(entries.kind, entries.valueBytes, entries.valueStart, entries.valueEnd)
    return expiresAt === 0 || expiresAt > this.#now
  }

  #show(entries: EntryCursor): void {
    this.keyBytes = entries.keyBytes
    this.keyStart = entries.keyStart
    this.keyEnd = entries.keyEnd
    this.sequence = entries.sequence
    this.kind = entries.kind
    this.valueBytes = entries.valueBytes
    this.valueStart = entries.valueStart
    this.valueEnd = entries.valueEnd
    this.valid = true
  }

  #copy(entries: EntryCursor): void {
    const { valueBytes, valueStart, valueEnd } = entries
    const length = valueEnd - valueStart
    if (length > this.#value.length) this.#value = new Uint8Array(Math.max(64, length * 2))
    if (length <= 64) for (let i = 0; i < length; i++) this.#value[i] = valueBytes[valueStart + i]!
    else this.#value.set(valueBytes.subarray(valueStart, valueEnd))
    this.keyBytes = this.#key
    this.keyStart = 0
    this.keyEnd = this.#keyLength
    this.sequence = entries.sequence
    this.kind = entries.kind
    this.valueBytes = this.#value
    this.valueStart = 0
    this.valueEnd = length
  }

  #holdKey(entries: EntryCursor): void {
    const { keyBytes, keyStart, keyEnd } = entries
    const length = keyEnd - keyStart
    if (length > this.#key.length) this.#key = new Uint8Array(length * 2)
    const key = this.#key
    for (let i = 0; i < length; i++) key[i] = keyBytes[keyStart + i]!
    this.#keyLength = length
  }

  #isHeldKey(entries: EntryCursor): boolean {
    return compareRanges(entries.keyBytes, entries.keyStart, entries.keyEnd, this.#key, 0, this.#keyLength) === 0
  }

  #isAfterUpper(entries: EntryCursor): boolean {
    const upper = this.#upper
    if (upper === undefined) return false
    const order = compareRanges(entries.keyBytes, entries.keyStart, entries.keyEnd, upper, 0, upper.length)
    return this.#upperOpen ? order >= 0 : order > 0
  }

  #isBeforeLower(entries: EntryCursor): boolean {
    const lower = this.#lower
    if (lower === undefined) return false
    const order = compareRanges(entries.keyBytes, entries.keyStart, entries.keyEnd, lower, 0, lower.length)
    return this.#lowerOpen ? order <= 0 : order < 0
  }
}

function isEmpty(
  lower: Uint8Array | undefined,
  lowerOpen: boolean,
  upper: Uint8Array | undefined,
  upperOpen: boolean,
): boolean {
  if (lower === undefined || upper === undefined) return false
  const order = compareBytes(lower, upper)
  return order > 0 || (order === 0 && (lowerOpen || upperOpen))
}
