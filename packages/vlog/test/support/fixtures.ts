import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

const ROOT = join(import.meta.dirname, '..', 'fixtures', 'badger')

export interface FixtureEntry {
  fid: number
  offset: number
  len: number
  hlen: number
  klen: number
  vlen: number
  meta: number
  userMeta: number
  expiresAt: number
  key: string
  userKey: string
  version: number
  valueSha256: string
  crc32c: string
}

export interface FixtureLog {
  file: string
  fid: number
  size: number
  keyId: number
  baseIV: string
  dataKeyHex?: string
  validEnd: number
  entries: FixtureEntry[]
}

export const FIXTURES = ['plain-none', 'plain-snappy', 'mixed-1version', 'torn-value', 'flipped-middle', 'killed', 'encrypted-32-rotated'] as const

/** What a table or memtable holds for a key and version: a pointer, or the value itself. */
export interface FixtureTableEntry {
  key: string
  version: number
  meta: number
  userMeta: number
  expiresAt: number
  fid?: number
  offset?: number
  len?: number
  inlineHex?: string
}

function fixtureEntries(name: string): { files: FixtureLog[]; tableEntries: FixtureTableEntry[] } {
  return JSON.parse(readFileSync(join(ROOT, name, 'entries.json'), 'utf8')) as ReturnType<typeof fixtureEntries>
}

export function fixtureLogs(name: string): FixtureLog[] {
  return fixtureEntries(name).files.filter(({ file }) => file.endsWith('.vlog'))
}

export function fixtureMemtables(name: string): FixtureLog[] {
  return fixtureEntries(name).files.filter(({ file }) => file.endsWith('.mem'))
}

export function fixtureTableEntries(name: string): FixtureTableEntry[] {
  return fixtureEntries(name).tableEntries
}

/** The storage key, undefined for a plain directory. */
export function fixtureKey(name: string): Uint8Array | undefined {
  const { spec } = JSON.parse(readFileSync(join(ROOT, name, 'info.json'), 'utf8')) as { spec: { encryptionKeyHex?: string } }
  return spec.encryptionKeyHex === undefined ? undefined : Buffer.from(spec.encryptionKeyHex, 'hex')
}

/** What Badger itself answers of its directory, opened to write. */
export function fixtureAnswers(name: string): { key: string; version: number; deletedOrExpired: boolean; valueLen: number; valueSha256: string }[] {
  const { reopened } = JSON.parse(readFileSync(join(ROOT, name, 'expected.json'), 'utf8')) as { reopened: { all: ReturnType<typeof fixtureAnswers> } }
  return reopened.all
}

export function fixtureFile(fixture: string, file: string): Uint8Array {
  const names = readdirSync(join(ROOT, fixture, 'db'))
  const path = join(ROOT, fixture, 'db', file)
  return new Uint8Array(names.includes(file) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`)))
}

/** Every file of the directory, unpacked. */
export function fixtureFiles(fixture: string): [string, Uint8Array][] {
  return readdirSync(join(ROOT, fixture, 'db')).map((name) => {
    const file = name.endsWith('.gz') ? name.slice(0, -3) : name
    return [file, fixtureFile(fixture, file)]
  })
}

export function sweep(): {
  entries: number
  file: string
  lowBitFlippedAt: { at: number; to: number; validEnd: number; entries: number }[]
  truncatedAt: { cutFrom: number; cutTo: number; validEnd: number; entries: number }[]
  zeroedFrom: { cutFrom: number; cutTo: number; validEnd: number; entries: number }[]
} {
  return JSON.parse(readFileSync(join(ROOT, 'mixed-1version', 'sweep.json'), 'utf8')) as ReturnType<typeof sweep>
}
