/**
 * Asks a damaged database everything and judges the answers: what it holds, or `WK_CORRUPTION` with file and offset.
 * Never another error, a wrong value, a key too many or too few, a file changed over its damage, or a `verify()` that saw
 * nothing where a read was refused.
 */
import { WkError } from '@wk/codec'
import { defaultRuntime, type MemoryFileSystem, type Runtime } from '@wk/fs'
import type { Damage } from './damage.js'
import type { Specimen, State } from './damage-images.js'
import type { Database, IteratorHandle } from './database.js'
import { mountImage, readFile } from './disk-image.js'
import { bytesOf, textOf, type KeyText } from './model.js'
import { sameBytes } from './oracle.js'

/** The database under test. */
export interface ProbeTarget {
  readonly dir: string
  /** Opens what was mounted, for writing or for reading only. */
  readonly open: (fs: MemoryFileSystem, readOnly: boolean) => Promise<Database>
}

/** How a damaged database answered. */
export interface ProbeResult {
  /** `refused` at open, `partly` when some read was refused, else `identical`. */
  readonly outcome: 'identical' | 'partly' | 'refused'
  /** Whether `verify()` was content; undefined if open refused. */
  readonly verified: boolean | undefined
  /** What must not be; empty if all is well. */
  readonly findings: readonly string[]
  readonly milliseconds: number
}

/** Most milliseconds a case may take. */
export const MAX_PROBE_MS = 2000

/** Opens the damaged image, asks everything, closes. */
export async function probe(target: ProbeTarget, specimen: Specimen, damage: Damage, readOnly: boolean, runtime: Runtime = defaultRuntime): Promise<ProbeResult> {
  const started = runtime.monotonic()
  const findings: string[] = []
  const note = (message: string): void => {
    findings.push(`${damage.what} (${readOnly ? 'read-only' : 'writable'}): ${message}`)
  }
  const fs = await mountImage(damage.image, target.dir)
  const answers = new Answers(specimen, damage, note)
  let verified: boolean | undefined
  let opened = false
  try {
    const db = await target.open(fs, readOnly)
    opened = true
    await interrogate(db, specimen, answers)
    answers.judge(specimen.states, leastState(specimen, damage))
    const { ok, problems } = await db.verify()
    verified = ok
    if (ok && answers.refused) note('a read was refused, and verify() found nothing')
    if (!ok && problems.length === 0) note('verify() is not content and says not why')
    for (const { file, code, message } of problems) if (file === '' || file.includes('/') || code !== 'WK_CORRUPTION') note(`verify() said ${code} of "${file}": ${message}`)
    await db.close()
  } catch (error) {
    answers.refusal(opened ? 'verify or close' : 'open', error)
  }
  if (answers.refused) expectUntouched(fs, target.dir, damage, note)
  const milliseconds = runtime.monotonic() - started
  return { outcome: !opened ? 'refused' : answers.refused ? 'partly' : 'identical', verified, findings, milliseconds }
}

/**
 * The first state that a damaged image may come back to: what the promises in its log say is durable, those apart that were damaged
 * themselves. After a clean close that is the whole.
 */
function leastState({ states, log }: Specimen, damage: Damage): number {
  if (log === undefined) return states.length - 1
  let least = 0
  for (const { from, to, promised } of log.operations) {
    const hit = damage.files.includes(log.file) && from < damage.to && damage.from < to
    if (!hit) least = Math.max(least, promised)
  }
  return least
}

/** Damage that was noticed is left as it was found, for whoever repairs. */
function expectUntouched(fs: MemoryFileSystem, dir: string, damage: Damage, note: (message: string) => void): void {
  for (const name of damage.files) {
    const before = damage.image.get(name)
    if (before === undefined || name === 'LOCK' || name === 'CURRENT') continue
    let after: Uint8Array
    try {
      after = readFile(fs, `${dir}/${name}`)
    } catch {
      if (!/^MANIFEST|\.wal$/.test(name)) note(`${name} was removed`)
      continue
    }
    if (!sameBytes(before, after)) note(`${name} was changed`)
  }
}

/** What was answered, as far as it contradicts some state. */
class Answers {
  refused = false
  readonly #points: [what: string, key: KeyText, value: Uint8Array | boolean | undefined][] = []
  readonly #scans: [what: string, reverse: boolean, complete: boolean, entries: [KeyText, Uint8Array | undefined][]][] = []
  readonly #damage: Damage
  readonly #note: (message: string) => void

  constructor(_specimen: Specimen, damage: Damage, note: (message: string) => void) {
    this.#damage = damage
    this.#note = note
  }

  point(what: string, key: KeyText, value: Uint8Array | boolean | undefined): void {
    this.#points.push([what, key, value])
  }

  scan(what: string, reverse: boolean, complete: boolean, entries: [KeyText, Uint8Array | undefined][]): void {
    this.#scans.push([what, reverse, complete, entries])
  }

  /** An error: must be damage, said with its place. */
  refusal(what: string, error: unknown): void {
    this.refused = true
    if (!(error instanceof WkError)) {
      this.#note(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      return
    }
    const { file, offset } = error as { file?: unknown; offset?: unknown }
    if (error.code !== 'WK_CORRUPTION') this.#note(`${what}: ${error.code} ${error.message}`)
    else if (typeof file !== 'string' || file === '' || file.includes('/')) this.#note(`${what}: names no file: ${error.message}`)
    else if (offset === undefined ? this.#damage.image.has(file) : !Number.isSafeInteger(offset)) this.#note(`${what}: names no offset in ${file}: ${error.message}`)
  }

  /** Some state from `least` on must explain every answer. */
  judge(states: readonly State[], least: number): void {
    let best: string | undefined
    for (let i = states.length - 1; i >= least; i--) {
      const contradiction = this.#contradiction(states[i] as State)
      if (contradiction === undefined) return
      best ??= contradiction
    }
    this.#note(`no state from ${least} to ${states.length - 1} explains the answers; the last: ${best ?? ''}`)
  }

  #contradiction(state: State): string | undefined {
    for (const [what, key, value] of this.#points) {
      const expected = state.get(key)
      const right = typeof value === 'boolean' ? value === (expected !== undefined) : same(value, expected)
      if (!right) return `${what}(${key}) is ${shown(value)} instead of ${shown(expected)}`
    }
    const keys = [...state.keys()].sort()
    const backwards = keys.toReversed()
    for (const [what, reverse, complete, entries] of this.#scans) {
      const order = reverse ? backwards : keys
      if (complete && entries.length !== order.length) return `${what} gave ${entries.length} entries of ${order.length}`
      for (const [i, [key, value]] of entries.entries()) {
        if (key !== order[i]) return `${what} gave ${key} instead of ${order[i] ?? 'the end'}`
        if (value !== undefined && !same(value, state.get(key))) return `${what} gave a wrong value of ${key}`
      }
    }
    return undefined
  }
}

async function interrogate(db: Database, { keys }: Specimen, answers: Answers): Promise<void> {
  for (const key of [...keys, 'absent', 'zzz']) {
    const bytes = bytesOf(key)
    for (const [what, read] of [['getSync', () => db.getSync(bytes)], ['get', () => db.get(bytes)], ['has', () => db.has(bytes)]] as const) {
      try {
        answers.point(what, key, await read())
      } catch (error) {
        answers.refusal(`${what}(${key})`, error)
      }
    }
  }
  try {
    const values = await db.getMany(keys.map(bytesOf))
    for (const [i, key] of keys.entries()) answers.point('getMany', key, values[i])
  } catch (error) {
    answers.refusal('getMany', error)
  }
  for (const reverse of [false, true]) {
    await scan(`iterator${reverse ? ' in reverse' : ''}`, reverse, db.iterator({ reverse }), ([key, value]) => [textOf(key), value], answers)
    await scan(`keys${reverse ? ' in reverse' : ''}`, reverse, db.keys({ reverse }), (key) => [textOf(key), undefined], answers)
  }
}

async function scan<T>(what: string, reverse: boolean, iterator: IteratorHandle<T>, entryOf: (item: T) => [KeyText, Uint8Array | undefined], answers: Answers): Promise<void> {
  const entries: [KeyText, Uint8Array | undefined][] = []
  let complete = false
  try {
    for (let item = await iterator.next(); item !== undefined; item = await iterator.next()) entries.push(entryOf(item))
    complete = true
  } catch (error) {
    answers.refusal(what, error)
  }
  answers.scan(what, reverse, complete, entries)
  await iterator.close()
}

function same(a: Uint8Array | boolean | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined || typeof a === 'boolean' ? a === b : sameBytes(a, b)
}

function shown(value: Uint8Array | boolean | undefined): string {
  return value instanceof Uint8Array ? `${value.length} bytes` : String(value)
}
