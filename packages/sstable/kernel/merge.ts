/**
 * Merges blocks of sorted tables into blocks of new ones: the loop over entries of every flush and compaction.
 *
 * WebAssembly, since this loop is most of what a compaction does and what garbage collection waits for: compiled before its first entry, where
 * JavaScript is slow for a dozen merges (ADR 0034). It knows neither files nor tables that are read, nor which versions snapshots need: `run` goes on
 * until it needs somebody, and says by its result whom; the caller, `table-merge.ts`, does that and calls `run` again. What lies where
 * is in `control`, numbers of eight bytes, written before each return.
 *
 * Entries that need no judge: the newest version of a key that is a value or a pointer without attributes is kept, and older versions go if
 * nobody asked for any. All others are shown to the caller.
 */
import { allocate, compareKeys, copyShort, firstWord, freeAll, roomFor, wordAt } from './bytes'
import * as output from './output'
import { NO_MEMORY, OUT_OF_ORDER, Source, isBefore } from './source'

// What `run` returns. `table-kernel.ts` has the same list.
/** All entries are merged. */
const DONE: i32 = 0
/** `control.source` needs its next block, or to be told that there is none. */
const MORE: i32 = 1
/** The current entry needs a verdict, which the next `run` is given. */
const JUDGE: i32 = 2
/** The current entry is behind the bound. */
const BOUND: i32 = 3
/** The current entry begins a table. */
const TABLE: i32 = 4
/** The current entry is about to be added: it has attributes, or is a pointer that may be moved. */
const ENTRY: i32 = 5
/** The current entry is the first behind a finished block. */
const INDEX: i32 = 6
/** A block is finished: hashes and references are to be fetched too. */
const BLOCK: i32 = 7
/** Hashes, references and losses are to be fetched, or the caller has waited for long. */
const FETCH: i32 = 8
/** Something is wrong with the current entry, or with the one behind it in its block: `control.damage` says what. */
const DAMAGE: i32 = 9

/** Verdicts. `table-merge.ts` has the same list. */
const KEEP: i32 = 0
const BURY: i32 = 1

const KIND_TOMBSTONE: u32 = 0
const KIND_VALUE: u32 = 1
const KIND_POINTER: u32 = 2
const BASE_KIND: u32 = 3
const KIND_ATTRIBUTES: u32 = 4
const MAX_SEQUENCE: f64 = 281474976710655
/** Bytes from one source to the next. */
const SOURCE_WIDTH: usize = (offsetof<Source>() + 7) & ~7
/** Losses that there is room for. */
const LOSSES: u32 = 1024
/** Entries that are left behind until the caller may look at its clock, however large blocks are. */
const LONGEST_RUN: u32 = 1 << 13

// Where `run` goes on.
const ADVANCE: i32 = 0
const CHOOSE: i32 = 1
const JUDGED: i32 = 2
const CUT: i32 = 3
const CUTTING: i32 = 4
const ANNOUNCE: i32 = 5
const SEPARATE: i32 = 6
const ADD: i32 = 7
const FINISH: i32 = 8

let phase: i32 = 0
/** The last event, when the next `run` begins. */
let told: i32 = 0
/** All sources, and those that have entries, by their current one. */
let sources: usize = 0
let sourceCount: u32 = 0
let order: usize = 0
let orderCount: u32 = 0
/** Sources that were begun. */
let opened: u32 = 0
/** The source that is on its way to its next entry. */
let moving: usize = 0

/** The key that was judged last, its version, and its source. */
let judgedKey: usize = 0
let judgedRoom: u32 = 0
let judgedLength: u32 = 0
let judgedWord: u64 = 0
let judgedInverted: u64 = 0
let judgedRank: u32 = 0
let hasJudged: bool = false
/** The version before it of the same key. */
let newerInverted: u64 = 0
let isNewKey: bool = false
/** An entry of the key stays: others must follow it into its table. */
let isKept: bool = false
let isBuried: bool = false

/** Nobody asks for older versions of a key. */
let dropsOlder: bool = false
/** Pointers are shown before they are added. */
let showsPointers: bool = false

let hasTable: bool = false
/** The table may be followed by another, and is when it has grown to `tableSize`, or at once. */
let mayCut: bool = false
let cutsNow: bool = false
let tableSize: f64 = 0
/** Bytes of the file, and of its index, so far. */
let base: f64 = 0
/** A block is finished, and has no entry in the index yet. */
let isUnindexed: bool = false
let bound: usize = 0
let boundRoom: u32 = 0
let boundLength: u32 = 0
let hasBound: bool = false

let entries: f64 = 0
/** Versions that went, tombstones among them, and fid and length of what they point to. */
let shadowed: f64 = 0
let shadowedTombstones: f64 = 0
let losses: usize = 0
let lossCount: u32 = 0
let damage: i32 = 0
/** Entries left behind since `run` began. */
let walked: u32 = 0

/** The numbers that `leave` writes, in the order of `table-kernel.ts`. */
const control: usize = memory.data(32 * 8, 8)

/** Where the numbers are. */
export function controlAt(): usize {
  return control
}

/** Begins a merge of so many sources, newest first. False if there is no memory. */
export function begin(count: u32, blockSize: f64, restartInterval: u32, bitsPerKey: f64, dropsOlderVersions: bool, showsAllPointers: bool): bool {
  freeAll()
  sourceCount = count
  sources = allocate(<u64>count * SOURCE_WIDTH)
  order = allocate(<u64>count << 2)
  judgedRoom = 256
  judgedKey = allocate(judgedRoom)
  losses = allocate(LOSSES << 3)
  boundRoom = 0
  if (sources == 0 || order == 0 || judgedKey == 0 || losses == 0) return false
  for (let i: u32 = 0; i < count; i++) if (!sourceOf(i).begin(i)) return false
  phase = ADVANCE
  orderCount = 0
  opened = 0
  moving = 0
  hasJudged = false
  judgedLength = 0
  dropsOlder = dropsOlderVersions
  showsPointers = showsAllPointers
  hasTable = false
  isUnindexed = false
  hasBound = false
  cutsNow = false
  entries = 0
  shadowed = 0
  shadowedTombstones = 0
  lossCount = 0
  damage = 0
  const isBegun = output.beginOutput(blockSize, restartInterval, bitsPerKey)
  // The numbers are those of a merge before.
  leave(DONE)
  return isBegun
}

/** Where to put the next block of a source, of so many bytes; 0 if there is no memory. */
export function placeFor(source: u32, length: u32): usize {
  return sourceOf(source).placeFor(length)
}

/** The block is there. */
export function open(source: u32, entriesEnd: u32, restartCount: u32): void {
  sourceOf(source).open(entriesEnd, restartCount)
}

/** The source has no further block. */
export function end(source: u32): void {
  sourceOf(source).hasEnded = true
}

/** A table begins. */
export function beginTable(size: f64, isCutAllowed: bool): void {
  output.beginTable()
  hasTable = true
  isUnindexed = false
  cutsNow = false
  tableSize = size
  mayCut = isCutAllowed
}

/** Bytes of the file and its index. */
export function setBase(bytes: f64): void {
  base = bytes
}

/** The table is cut before the current key. */
export function cut(): void {
  cutsNow = true
}

/** Where to put the bound, a key of so many bytes that the caller is told of when keys are behind it; 0 if there is no memory. */
export function boundFor(length: u32): usize {
  if (length > boundRoom || boundRoom == 0) {
    boundRoom = <u32>roomFor(length)
    bound = allocate(boundRoom)
  }
  boundLength = length
  hasBound = true
  return bound
}

/** There is no bound. */
export function unbound(): void {
  hasBound = false
}

/** Goes on. `verdict`: of the entry that was shown. */
export function run(verdict: i32): i32 {
  if (told == BLOCK) output.beginBlock()
  if (told == BLOCK || told == FETCH || told == DONE) {
    output.fetched()
    lossCount = 0
  }
  while (true) {
    if (phase == FINISH) return leave(DONE)
    if (phase == ADVANCE) {
      if (walked >= LONGEST_RUN) return leave(FETCH)
      const event = advance()
      if (event != DONE) return leave(event)
      if (orderCount == 0) {
        phase = FINISH
        if (output.blockEntries == 0) return leave(DONE)
        if (!output.finishBlock()) return fail(NO_MEMORY)
        return leave(BLOCK)
      }
      phase = CHOOSE
    }
    const entry = first()
    if (phase == CHOOSE) {
      const event = choose(entry)
      if (event != DONE) return leave(event)
      if (phase == ADVANCE) continue
    } else if (phase == JUDGED) {
      if (verdict != KEEP && verdict != BURY) {
        leaveBehind()
        continue
      }
      isBuried = verdict == BURY
      phase = CUT
    }
    if (phase == CUT) {
      if (isKept) phase = ANNOUNCE
      else {
        if (hasBound && compareKeys(entry.key, entry.keyLength, bound, boundLength) > 0) return leave(BOUND)
        if (hasTable && !(mayCut && (cutsNow || base + output.estimate() >= tableSize))) phase = ANNOUNCE
        else {
          phase = CUTTING
          if (output.blockEntries > 0) {
            if (!output.finishBlock()) return fail(NO_MEMORY)
            return leave(BLOCK)
          }
        }
      }
    }
    if (phase == CUTTING) {
      phase = ANNOUNCE
      return leave(TABLE)
    }
    if (phase == ANNOUNCE) {
      phase = SEPARATE
      if (!isBuried && ((entry.kind & KIND_ATTRIBUTES) != 0 || (showsPointers && entry.kind == KIND_POINTER))) return leave(ENTRY)
    }
    if (phase == SEPARATE) {
      phase = ADD
      if (isUnindexed) {
        isUnindexed = false
        return leave(INDEX)
      }
    }
    if (phase == ADD) {
      if (!output.add(entry, isBuried)) return fail(NO_MEMORY)
      isKept = true
      leaveBehind()
      if (output.isBlockFull()) {
        if (!output.finishBlock()) return fail(NO_MEMORY)
        isUnindexed = true
        return leave(BLOCK)
      }
      if (output.isFull()) return leave(FETCH)
    }
  }
}

/** Moves on whichever source has to, until all stand at entries, or are at their ends. */
function advance(): i32 {
  while (moving != 0 || opened < sourceCount) {
    if (moving == 0) {
      moving = changetype<usize>(sourceOf(opened++))
      makeFirst(moving)
    }
    const source = changetype<Source>(moving)
    if (source.isAtEnd) {
      if (!source.hasEnded) return MORE
      removeFirst()
    } else {
      damage = source.read()
      if (damage != 0) return DAMAGE
      settleFirst(source)
    }
    moving = 0
  }
  return DONE
}

/** Looks at the next entry in order, and decides about it if that is simple. */
function choose(entry: Source): i32 {
  const order = hasJudged ? compareWithJudged(entry) : 1
  if (order < 0 || (order == 0 && entry.inverted < judgedInverted)) return failed(OUT_OF_ORDER)
  const isSame = order == 0 && entry.inverted == judgedInverted
  // That of an older source is the same entry.
  if (isSame && entry.rank != judgedRank) {
    leaveBehind()
    return DONE
  }
  damage = entry.check()
  if (damage != 0) return DAMAGE
  entries++
  if (isSame) {
    leaveBehind()
    return loseCurrent(entry)
  }
  judgedRank = entry.rank
  isNewKey = order != 0
  newerInverted = judgedInverted
  judgedInverted = entry.inverted
  isBuried = false
  if (isNewKey) {
    isKept = false
    if (!rememberJudged(entry)) return failed(NO_MEMORY)
    phase = entry.kind == KIND_VALUE || entry.kind == KIND_POINTER ? CUT : JUDGED
  } else {
    phase = JUDGED
    if (dropsOlder) {
      leaveBehind()
      return loseCurrent(entry)
    }
  }
  return phase == JUDGED ? JUDGE : DONE
}

/** Counts an entry that goes. */
function loseCurrent(entry: Source): i32 {
  shadowed++
  const kind = entry.kind & BASE_KIND
  if (kind == KIND_TOMBSTONE) shadowedTombstones++
  if (kind != KIND_POINTER) return DONE
  store<u64>(losses + (<usize>lossCount << 3), wordAt(entry.value))
  lossCount++
  return lossCount == LOSSES ? FETCH : DONE
}

/** The current entry is done with. */
function leaveBehind(): void {
  moving = changetype<usize>(first())
  phase = ADVANCE
  walked++
}

function compareWithJudged(entry: Source): i32 {
  if (entry.word != judgedWord) return entry.word < judgedWord ? -1 : 1
  return compareKeys(entry.key, entry.keyLength, judgedKey, judgedLength)
}

function rememberJudged(entry: Source): bool {
  const length = entry.keyLength
  if (length > judgedRoom) {
    judgedRoom = <u32>roomFor(length)
    judgedKey = allocate(judgedRoom)
    if (judgedKey == 0) return false
  }
  copyShort(judgedKey, entry.key, length)
  judgedLength = length
  judgedWord = entry.word
  hasJudged = true
  return true
}

function sourceOf(index: u32): Source {
  return changetype<Source>(sources + <usize>index * SOURCE_WIDTH)
}

function first(): Source {
  return changetype<Source>(load<usize>(order))
}

function makeFirst(source: usize): void {
  memory.copy(order + 4, order, orderCount << 2)
  store<usize>(order, source)
  orderCount++
}

function removeFirst(): void {
  orderCount--
  memory.copy(order, order + 4, orderCount << 2)
}

/** The first source has come to another entry: puts it where that belongs. */
function settleFirst(source: Source): void {
  let place: u32 = 1
  while (place < orderCount) {
    const at = order + (<usize>place << 2)
    const next = load<usize>(at)
    if (isBefore(source, changetype<Source>(next))) break
    store<usize>(at - 4, next)
    place++
  }
  store<usize>(order + ((<usize>place - 1) << 2), changetype<usize>(source))
}

function fail(code: i32): i32 {
  return leave(failed(code))
}

function failed(code: i32): i32 {
  damage = code
  return DAMAGE
}

/** Writes what the caller may want to know, and returns the event. */
function leave(event: i32): i32 {
  const source = moving != 0 ? changetype<Source>(moving) : orderCount > 0 ? first() : changetype<Source>(0)
  if (changetype<usize>(source) != 0) {
    tell(0, source.rank)
    tell(1, <f64>source.key)
    tell(2, source.keyLength)
    tell(3, sequenceOf(source.inverted))
    tell(4, source.kind)
    tell(5, <f64>source.value)
    tell(6, source.valueLength)
  }
  tell(7, isNewKey ? 1 : 0)
  tell(8, sequenceOf(newerInverted))
  tell(9, damage)
  tell(10, entries)
  tell(11, shadowed)
  tell(12, shadowedTombstones)
  tell(13, <f64>losses)
  tell(14, lossCount)
  tell(15, <f64>output.block)
  tell(16, output.blockLength)
  tell(17, output.blockValueBytes)
  tell(18, <f64>output.lastKey)
  tell(19, output.lastKeyLength)
  tell(20, sequenceOf(output.lastInverted))
  tell(21, <f64>output.hashes)
  tell(22, output.hashCount)
  tell(23, <f64>output.references)
  tell(24, output.referenceCount)
  tell(25, output.entries)
  tell(26, output.tombstones)
  tell(27, output.distinctKeys)
  tell(28, output.keyBytes)
  tell(29, output.valueBytes)
  tell(30, sequenceOf(output.largestInverted))
  tell(31, sequenceOf(output.smallestInverted))
  told = event
  walked = 0
  return event
}

function tell(index: usize, value: f64): void {
  store<f64>(control + (index << 3), value)
}

function sequenceOf(inverted: u64): f64 {
  return MAX_SEQUENCE - <f64>inverted
}
