/**
 * What the tests share: fresh directories and databases that are closed and removed after each test.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WkLevel } from '../src/index.js'
import type { WkLevelOptions } from '../src/index.js'

const directories: string[] = []
const databases: WkLevel[] = []

/** Closes the databases and removes the directories of a test. */
export async function cleanUp(): Promise<void> {
  for (const db of databases.splice(0)) await db.close()
  for (const dir of directories.splice(0)) rmSync(dir, { recursive: true, force: true })
}

export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'wk-level-'))
  directories.push(dir)
  return dir
}

/** A database, not open yet; in a fresh directory unless one is given. */
export function make<K = string, V = string>(options: WkLevelOptions<K, V> = {}, location = join(temporaryDirectory(), 'db')): WkLevel<K, V> {
  const db = new WkLevel<K, V>(location, options)
  databases.push(db as unknown as WkLevel)
  return db
}

interface Failure extends Error {
  code?: string
  cause?: Error & { code?: string }
}

/** What a call rejects with, or throws. */
export async function failureOf(call: () => unknown): Promise<Failure> {
  try {
    await call()
  } catch (error) {
    return error as Failure
  }
  throw new Error('it did not fail')
}

/** A value that goes to the value log. */
export function large(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255)
}

export function numbered(i: number): string {
  return String(i).padStart(6, '0')
}

/** Puts entries `000000` .. in batches. */
export async function fill(db: WkLevel, count: number, value: (i: number) => string = String): Promise<void> {
  for (let at = 0; at < count; at += 1000) {
    await db.batch(Array.from({ length: Math.min(1000, count - at) }, (_, i) => ({ type: 'put' as const, key: numbered(at + i), value: value(at + i) })))
  }
}
