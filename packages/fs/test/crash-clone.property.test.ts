import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CRASH_POLICIES, MemoryFileSystem, readFully, SECTOR } from '../src/index.js'
import type { CrashPolicy, File } from '../src/index.js'
import { property } from './support/property.js'

const NAMES = ['a', 'b', 'c']

type Step =
  | { kind: 'create'; name: string }
  | { kind: 'remove'; name: string }
  | { kind: 'sync'; name: string }
  | { kind: 'write'; name: string; position: number; length: number }
  | { kind: 'truncate'; name: string; length: number }
  | { kind: 'punch'; name: string; position: number; length: number }
  | { kind: 'rename'; name: string; to: string }
  | { kind: 'syncDir' }

const name = fc.constantFrom(...NAMES)
const place = fc.oneof(fc.nat(1600), fc.nat(3).map((sector) => sector * SECTOR))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('create' as const), name }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), name, position: place, length: fc.integer({ min: 1, max: 1300 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), name, length: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('punch' as const), name, position: place, length: fc.integer({ min: 1, max: 1300 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('sync' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rename' as const), name, to: name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('syncDir' as const) }) },
)

/** A naive picture: names to file numbers, file numbers to bytes. One is kept after every change. */
interface State {
  readonly names: ReadonlyMap<string, number>
  readonly bytes: readonly Uint8Array[]
}

interface History {
  readonly fs: MemoryFileSystem
  readonly states: State[]
  /** Index of the state that was current when the directory, or the file of that number, was last synced. */
  dirSync: number
  readonly fileSync: number[]
  readonly truncated: Set<number>
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length)
  copy.set(bytes.subarray(0, length))
  return copy
}

/** Plays the steps that make sense on a file system and on the picture of it. */
async function play(steps: readonly Step[], asynchronous: boolean): Promise<History> {
  const fs = new MemoryFileSystem()
  await fs.mkdir('/db')
  const history: History = { fs, states: [{ names: new Map(), bytes: [] }], dirSync: 0, fileSync: [], truncated: new Set() }
  const files: File[] = []
  const now = (): State => history.states[history.states.length - 1] as State
  const next = (change: Partial<State>): void => void history.states.push({ ...now(), ...change })
  for (const one of steps) {
    if (one.kind === 'syncDir') {
      await fs.syncDir('/db')
      history.dirSync = history.states.length - 1
      continue
    }
    const number = now().names.get(one.name)
    const names = new Map(now().names)
    if (one.kind === 'create') {
      if (number !== undefined) continue
      files.push(asynchronous ? await fs.open(`/db/${one.name}`, 'create') : fs.openSync(`/db/${one.name}`, 'create'))
      history.fileSync.push(history.states.length)
      next({ names: names.set(one.name, files.length - 1), bytes: [...now().bytes, new Uint8Array(0)] })
      continue
    }
    const file = files[number ?? -1]
    if (number === undefined || file === undefined) continue
    const bytes = now().bytes[number] ?? new Uint8Array(0)
    if (one.kind === 'write') {
      const data = Uint8Array.from({ length: one.length }, (_, index) => (history.states.length * 37 + index) % 255 + 1)
      if (asynchronous) await file.write(data, 0, data.length, one.position)
      else file.writeSync(data, 0, data.length, one.position)
      const copy = resized(bytes, Math.max(bytes.length, one.position + one.length))
      copy.set(data, one.position)
      next({ bytes: now().bytes.with(number, copy) })
    } else if (one.kind === 'truncate') {
      await file.truncate(one.length)
      history.truncated.add(number)
      next({ bytes: now().bytes.with(number, resized(bytes, one.length)) })
    } else if (one.kind === 'punch') {
      await file.punch(one.position, one.length)
      next({ bytes: now().bytes.with(number, bytes.slice().fill(0, one.position, one.position + one.length)) })
    } else if (one.kind === 'sync') {
      if (asynchronous) await file.sync()
      else file.syncSync()
      history.fileSync[number] = history.states.length - 1
    } else if (one.kind === 'remove') {
      await fs.remove(`/db/${one.name}`)
      names.delete(one.name)
      next({ names })
    } else if (one.to !== one.name) {
      await fs.rename(`/db/${one.name}`, `/db/${one.to}`)
      names.delete(one.name)
      next({ names: names.set(one.to, number) })
    }
  }
  return history
}

async function contents(fs: MemoryFileSystem): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  for (const name of await fs.list('/db')) {
    const file = fs.openSync(`/db/${name}`, 'read')
    const bytes = new Uint8Array(file.sizeSync())
    expect(await readFully(file, bytes, 0, bytes.length, 0)).toBe(bytes.length)
    found.set(name, bytes)
  }
  return found
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function sameFiles(found: Map<string, Uint8Array>, names: ReadonlyMap<string, number>, bytes: (number: number) => Uint8Array): boolean {
  if (found.size !== names.size) return false
  return [...names].every(([name, number]) => {
    const content = found.get(name)
    return content !== undefined && equal(content, bytes(number))
  })
}

/** What the last sync of the file covered; empty if there was none since its creation. */
function syncedBytes(history: History, number: number): Uint8Array {
  return history.states[history.fileSync[number] ?? -1]?.bytes[number] ?? new Uint8Array(0)
}

/** Whether `found` can be what sector-wise loss leaves of the file. */
function possible(history: History, number: number, found: Uint8Array, anyNewBytes: boolean): boolean {
  const first = history.fileSync[number] ?? 0
  const versions = history.states.slice(first).map((state) => state.bytes[number] ?? new Uint8Array(0))
  versions.unshift(syncedBytes(history, number))
  const sizes = versions.map((version) => version.length)
  if (found.length < Math.min(...sizes) || found.length > Math.max(...sizes)) return false
  const kept = Math.min(...sizes)
  const bytewise = anyNewBytes || history.truncated.has(number)
  if (bytewise) {
    const checked = anyNewBytes ? Math.min(kept, found.length) : found.length
    for (let at = 0; at < checked; at++) {
      const cutAway = found[at] === 0 && (at >= kept || history.truncated.has(number))
      if (!cutAway && !versions.some((version) => version[at] === found[at])) return false
    }
    return true
  }
  for (let start = 0; start < found.length; start += SECTOR) {
    const sector = resized(found.subarray(start, start + SECTOR), SECTOR)
    if (!versions.some((version) => equal(sector, resized(version.subarray(start, start + SECTOR), SECTOR)))) return false
  }
  return true
}

async function check(history: History, policy: CrashPolicy, seed: number): Promise<void> {
  const found = await contents(history.fs.crashClone(policy, seed))
  const { states } = history
  const last = states[states.length - 1] as State
  const syncedNames = (states[history.dirSync] as State).names
  switch (policy) {
    case 'P0':
      expect(sameFiles(found, syncedNames, (number) => syncedBytes(history, number))).toBe(true)
      break
    case 'P1':
      expect(sameFiles(found, last.names, (number) => last.bytes[number] as Uint8Array)).toBe(true)
      break
    case 'P2': {
      const syncs = history.fileSync.filter((at, number) => at > 0 && states[at]?.bytes[number] !== undefined && wasSynced(history, number))
      const from = Math.max(0, history.dirSync, ...syncs)
      const whole = states.slice(from).some((state) => sameFiles(found, state.names, (number) => state.bytes[number] as Uint8Array))
      if (whole) break
      const torn = states.slice(from, -1).some((state, index) => {
        const after = states[from + index + 1] as State
        return sameFiles(found, state.names, (number) => tornBetween(state, after, number, found))
      })
      expect(torn).toBe(true)
      break
    }
    case 'P5':
      expect([...found.keys()].sort()).toEqual([...last.names.keys()].sort())
      for (const [name, number] of last.names) {
        const bytes = found.get(name) as Uint8Array
        const synced = syncedBytes(history, number)
        expect(bytes.length).toBe((last.bytes[number] as Uint8Array).length)
        if (history.truncated.has(number)) continue
        expect(equal(bytes.subarray(0, synced.length), synced)).toBe(true)
        expect(bytes.subarray(synced.length).every((byte) => byte === 0)).toBe(true)
      }
      break
    default:
      for (const name of NAMES) {
        const candidates = states.slice(history.dirSync).map((state) => state.names.get(name))
        const bytes = found.get(name)
        if (bytes === undefined) expect(candidates).toContain(undefined)
        else {
          expect(candidates.some((number) => number !== undefined && possible(history, number, bytes, policy === 'P4'))).toBe(true)
        }
      }
  }
}

function wasSynced(history: History, number: number): boolean {
  const created = history.states.findIndex((state) => state.bytes.length > number)
  return (history.fileSync[number] ?? 0) > created
}

/** The found content of the file if it is the earlier state plus a beginning of the write that follows, cut at a sector. */
function tornBetween(before: State, after: State, number: number, found: Map<string, Uint8Array>): Uint8Array {
  const old = before.bytes[number] as Uint8Array
  const written = after.bytes[number]
  if (written === undefined || written === old) return old
  const name = [...before.names].find(([, one]) => one === number)?.[0] ?? ''
  const candidate = found.get(name) ?? old
  for (let cut = 0; cut <= written.length; cut += SECTOR) {
    const mixed = resized(old, Math.max(old.length, Math.min(cut, written.length)))
    mixed.set(written.subarray(0, cut))
    if (equal(mixed, candidate)) return candidate
  }
  return old
}

for (const policy of CRASH_POLICIES) {
  test(`${policy} keeps what it must and nothing it cannot`, async () => {
    await property(
      250,
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.boolean(), fc.nat(), async (steps, asynchronous, seed) => {
        const history = await play(steps, asynchronous)
        for (let round = 0; round < 3; round++) await check(history, policy, seed + round)
      }),
    )
  })
}

test('an unknown policy, or no seed, is refused: it would be some crash that nobody asked for', () => {
  const fs = new MemoryFileSystem()
  for (const wrong of [undefined, null, 'P6', 'p0', 0, {}] as never[]) expect(() => fs.crashClone(wrong)).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }) as Error)
  for (const wrong of [null, 'x', Number.NaN, Infinity, {}] as never[]) expect(() => fs.crashClone('P2', wrong)).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }) as Error)
})

test('a clone is independent, repeatable, and leaves the original alone', async () => {
  await property(
    100,
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.nat(), fc.constantFrom(...CRASH_POLICIES), async (steps, seed, policy) => {
      const { fs } = await play(steps, true)
      const before = await contents(fs)
      const first = fs.crashClone(policy, seed)
      const expected = await contents(first)
      for (const name of await first.list('/db')) {
        const file = first.openSync(`/db/${name}`, 'update')
        file.writeSync(new Uint8Array(3000).fill(255), 0, 3000, 0)
        await file.truncate(17)
      }
      await first.mkdir('/db/new')
      expect(await contents(fs.crashClone(policy, seed))).toEqual(expected)
      expect(await contents(fs)).toEqual(before)
    }),
  )
})

test('after P1 nothing became durable by the crash; after any other policy all that is left is', async () => {
  await property(
    100,
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.nat(), fc.constantFrom(...CRASH_POLICIES), async (steps, seed, policy) => {
      const { fs } = await play(steps, false)
      const clone = fs.crashClone(policy, seed)
      const left = policy === 'P1' ? fs.crashClone('P0') : clone
      expect(await contents(clone.crashClone('P0'))).toEqual(await contents(left))
    }),
  )
})
