/** F4: names and kinds of files in the directory that are not what they seem. */
import { createHash } from 'node:crypto'
import { existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseFileName, WkError } from '@wk/codec'
import { DB, type DbOptions } from '@wk/db'
import { hostileName, Rng } from '@wk/testkit'
import type { Check } from '../check.js'

const OPTIONS: DbOptions = { valueThreshold: 64, memTableSize: 64 * 1024, valueLogFileSize: 4096, workers: 0, gc: { auto: false } }
const PAST = new Date('2001-02-03T04:05:06Z')

/** What CURRENT may be made to say. */
const CURRENTS = ['../outside\n', '/etc/passwd\n', 'MANIFEST-000001\0\n', 'MANIFEST-000001', 'MANIFEST-1\n', 'MANIFEST--00001\n', 'MANIFEST-99999999999999999999\n', `${'MANIFEST-'.padEnd(4000, '0')}1\n`, '000001.sst\n', 'LOCK\n', '\n', '../db/MANIFEST-000001\n']

/** Names that are nobody's: they keep bytes and times. */
const FOREIGN = ['0001.sst', '000001.SST', '-00001.vlog', '00000a.wal', '000001.sst.bak', '99999999999999999999.sst', '9007199254740993.vlog', 'MANIFEST', 'MANIFEST-0', 'current', '._0', '.DS_Store', '000001.vlog.tmp.tmp', ' 000001.wal', '000001.wal ', 'ключ.sst']

/** Directories full of names that are nearly ours. */
const FUZZED = 100
const NAMES_EACH = 50

/** Our names as docs/format.md gives them: at least six digits, no zero in front of more, a safe integer from 1. */
const OURS = /^(?:(?:MANIFEST-([0-9]{6}|[1-9][0-9]{6,15})|([0-9]{6}|[1-9][0-9]{6,15})\.(?:wal|sst|vlog|rlog|runs)|CURRENT|LOCK|VLOGSTATE|KEYREGISTRY)(?:\.tmp)?)$/

/** All of them, on a real directory; each case is one of the lists above or below. */
export const check: Check = {
  id: 'F4',
  title: 'names: fuzzed ones, ../x, absolute, NUL, symbolic links, hard links, directories, huge and negative numbers, foreign files',
  means: 'refused or ignored with typed errors; files outside, and files that are not ours, keep bytes and mtime',
  unit: 'cases',
  cases: { commit: Infinity, nightly: Infinity, release: Infinity },
  async run({ only }, seed, report) {
    const cases: [string, (dir: string, outside: string) => void][] = [
      ...CURRENTS.map((text): [string, (dir: string) => void] => [`CURRENT says ${JSON.stringify(text.slice(0, 40))}`, (dir) => writeFileSync(join(dir, 'CURRENT'), text)]),
      ...FOREIGN.map((name): [string, (dir: string) => void] => [`a file ${JSON.stringify(name)}`, (dir) => writeFileSync(join(dir, name), 'foreign')]),
    ]
    for (const name of ['CURRENT', 'LOCK', '.sst', '.vlog', 'MANIFEST-']) {
      const victim = (dir: string): string => join(dir, readdirSync(dir).find((one) => one === name || (name.length > 3 && (one.endsWith(name) || one.startsWith(name)))) ?? name)
      cases.push([`${name} is a symbolic link out`, (dir, outside) => {
        const path = victim(dir)
        renameSync(path, join(outside, 'moved'))
        symlinkSync(join(outside, 'moved'), path)
      }])
      cases.push([`${name} is a directory`, (dir) => {
        const path = victim(dir)
        rmSync(path)
        mkdirSync(path)
      }])
      cases.push([`${name} is a link to itself`, (dir) => {
        const path = victim(dir)
        rmSync(path)
        symlinkSync(path, path)
      }])
    }
    cases.push(['a temporary file of ours is a symbolic link out', (dir, outside) => symlinkSync(join(outside, 'secret'), join(dir, 'CURRENT.tmp'))])
    cases.push(['a file of ours has a second name outside', (dir, outside) => linkSync(join(dir, readdirSync(dir).find((one) => one.endsWith('.vlog')) ?? ''), join(outside, 'twin'))])
    for (let round = 0; round < FUZZED; round++) {
      const rng = new Rng(seed * 1000 + round)
      const names = Array.from({ length: NAMES_EACH }, () => hostileName(rng))
      const misread = names.find((name) => isOurs(name) !== specified(name))
      if (misread !== undefined) report.fail(`${JSON.stringify(misread)} is ${specified(misread) ? 'ours and not known' : 'not ours and taken for it'}`)
      cases.push([`names at random, ${round}`, (dir) => names.filter((name) => !specified(name)).forEach((name) => writeFileSync(join(dir, name), name))])
    }
    for (const [i, [what, prepare]] of cases.entries()) {
      if (only !== undefined && Number(only) !== i) continue
      const failure = await runCase(prepare)
      report.ran()
      if (failure !== undefined) report.fail(`${what}: ${failure}`, String(i))
    }
  },
}

async function runCase(prepare: (dir: string, outside: string) => void): Promise<string | undefined> {
  const parent = mkdtempSync(join(tmpdir(), 'wk-names-'))
  try {
    const dir = join(parent, 'db')
    const outside = join(parent, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'secret'), 'not yours')
    const db = await DB.open(dir, OPTIONS)
    for (let i = 0; i < 20; i++) await db.put(`k${i}`, new Uint8Array(i * 10).fill(i))
    await db.close()
    prepare(dir, outside)
    for (const path of [...readdirSync(outside).map((name) => join(outside, name)), ...readdirSync(dir).filter((name) => !isOurs(name)).map((name) => join(dir, name))]) utimesSync(path, PAST, PAST)
    const before = fingerprint(outside, dir)
    for (const readOnly of [true, false]) {
      const failure = await use(dir, readOnly)
      if (failure !== undefined) return failure
      const after = fingerprint(outside, dir)
      for (const [path, print] of before) if (after.get(path) !== print) return `${path.slice(parent.length)} was changed`
    }
    return undefined
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
}

/** Opens, reads, writes, collects. Returns what is no typed error, or a wrong value. */
async function use(dir: string, readOnly: boolean): Promise<string | undefined> {
  try {
    const db = await DB.open(dir, { ...OPTIONS, readOnly })
    try {
      for (let i = 0; i < 20; i++) {
        const value = await db.get(`k${i}`)
        if (value?.length !== i * 10 || value.some((byte) => byte !== i)) return `a wrong value of k${i}`
      }
      await db.verify()
      if (!readOnly) {
        await db.put('more', new Uint8Array(5000))
        await db.compact()
      }
    } finally {
      await db.close()
    }
    return undefined
  } catch (error) {
    return error instanceof WkError ? undefined : String(error)
  }
}

const isOurs = (name: string): boolean => parseFileName(name) !== undefined

function specified(name: string): boolean {
  const match = OURS.exec(name)
  const digits = match?.[1] ?? match?.[2] ?? '1'
  return match !== null && Number(digits) >= 1 && Number.isSafeInteger(Number(digits))
}

/** Content and time of every file outside, and of every file inside that is not ours. */
function fingerprint(outside: string, dir: string): Map<string, string> {
  const prints = new Map<string, string>()
  for (const path of [...readdirSync(outside).map((name) => join(outside, name)), ...readdirSync(dir).filter((name) => !isOurs(name)).map((name) => join(dir, name))]) {
    if (!existsSync(path) || !lstatSync(path).isFile()) continue
    prints.set(path, `${statSync(path).mtimeMs} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`)
  }
  return prints
}
