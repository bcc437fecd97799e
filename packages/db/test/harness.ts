/**
 * What the contract tests share: options small enough that a few hundred writes cross flush, compaction and rotation,
 * fresh places on both file systems, and the check of error codes.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryFileSystem, type FileSystem } from '@wk/fs'
import { describe, expect } from 'vitest'
import { DB, WkError } from '../src/index.js'

export type Options = NonNullable<Parameters<typeof DB.open>[1]>

/** The smallest sizes the contract allows. */
export const SMALL: Options = {
  valueThreshold: 64,
  memTableSize: 64 * 1024,
  valueLogFileSize: 4096,
  tableSize: 16 * 1024,
  blockSize: 1024,
  levelBaseSize: 32 * 1024,
  gc: { auto: false },
}

/** A directory that does not exist yet, on some file system. */
export interface Place {
  readonly kind: 'memory' | 'node'
  readonly dir: string
  readonly fs: FileSystem | undefined
  open(options?: Options): Promise<DB>
  destroy(): Promise<void>
  names(): Promise<string[]>
}

// Arrays of bytes are compared at once: element by element takes seconds for a large value.
expect.addEqualityTesters([(a: unknown, b: unknown) => (a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : undefined)])

const directories: string[] = []
const databases: DB[] = []

/** Closes the databases and removes the directories of a test. */
export async function cleanUp(): Promise<void> {
  for (const db of databases.splice(0)) await db.close()
  for (const dir of directories.splice(0)) rmSync(dir, { recursive: true, force: true })
}

/** A fresh directory of the real file system; removed after the test. */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'wk-db-'))
  directories.push(dir)
  return dir
}

/** Closes the database after the test, whatever happens. */
export function keep(db: DB): DB {
  databases.push(db)
  return db
}

export function memoryPlace(fs = new MemoryFileSystem()): Place & { fs: MemoryFileSystem } {
  const dir = '/data/db'
  return {
    kind: 'memory',
    dir,
    fs,
    open: async (options = {}) => keep(await DB.open(dir, { ...SMALL, fs, ...options })),
    destroy: () => DB.destroy(dir, { fs }),
    names: () => fs.list(dir),
  }
}

export function nodePlace(): Place {
  const dir = join(temporaryDirectory(), 'db')
  return {
    kind: 'node',
    dir,
    fs: undefined,
    open: async (options = {}) => keep(await DB.open(dir, { ...SMALL, ...options })),
    destroy: () => DB.destroy(dir),
    names: async () => readdirSync(dir).sort(),
  }
}

/** Declares the same tests on the in-memory file system and on Node's. */
export function onBothFileSystems(title: string, tests: (place: () => Place) => void): void {
  describe.each([
    ['memory', memoryPlace],
    ['node', nodePlace],
  ] as const)(`${title} (%s)`, (_, make) => tests(make))
}

/** Runs something that must fail and returns the `WkError`. */
export async function failureOf(run: () => unknown): Promise<WkError & Record<string, unknown>> {
  let outcome: unknown
  try {
    outcome = await run()
  } catch (err) {
    expect(err, `not a WkError: ${String(err)}`).toBeInstanceOf(WkError)
    return err as WkError & Record<string, unknown>
  }
  throw new Error(`was not refused, gave ${String(outcome)}`)
}

/** Expects a failure with the code. */
export async function expectCode(run: () => unknown, code: string): Promise<WkError & Record<string, unknown>> {
  const err = await failureOf(run)
  expect(err.code, err.message).toBe(code)
  return err
}

export const text = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'))
export const bytes = (value: string): Uint8Array => new Uint8Array(Buffer.from(value))
/** A value of the given length that differs from others by its tag. */
export const large = (length: number, tag = 0): Uint8Array => new Uint8Array(length).map((_, i) => (i * 31 + tag * 7 + (i >> 8)) & 0xff)

/** Every file of a directory with its content: to prove that nothing changed. */
export function contentsOf(dir: string): Map<string, string> {
  return new Map(readdirSync(dir).sort().map((name) => [name, readFileSync(join(dir, name)).toString('base64')]))
}

/** Everything an async iterable gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = []
  for await (const item of items) out.push(item)
  return out
}

/** Runs as a user whom file permissions bind: the superuser, whom they do not, becomes nobody for the time. */
export async function unprivileged(run: () => Promise<void>): Promise<void> {
  const nobody = 65534
  const isSuperuser = process.geteuid?.() === 0
  if (isSuperuser) process.seteuid?.(nobody)
  try {
    await run()
  } finally {
    if (isSuperuser) process.seteuid?.(0)
  }
}

/** Compares everything in every way with the model. */
export async function expectContents(db: DB, model: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const found = new Map((await db.iterator().all()).map(([key, value]) => [text(key)!, value]))
  expect([...found.keys()]).toEqual([...model.keys()].sort())
  for (const [key, value] of model) {
    expect(found.get(key)).toEqual(value)
    expect(db.getSync(key)).toEqual(value)
  }
  expect((await db.verify()).problems, 'laws 7 and 8').toEqual([])
}
