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
  validEnd: number
  entries: FixtureEntry[]
}

export const PLAIN_FIXTURES = ['plain-none', 'plain-snappy', 'mixed-1version', 'torn-value', 'flipped-middle', 'killed'] as const

export function fixtureLogs(name: string): FixtureLog[] {
  const { files } = JSON.parse(readFileSync(join(ROOT, name, 'entries.json'), 'utf8')) as { files: FixtureLog[] }
  return files.filter(({ file }) => file.endsWith('.vlog'))
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
