/**
 * `docs/LIMITS.md` says what the code does: defaults and bounds of every option, and the constants it names.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DB } from '@wk/db'
import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../../packages/db/src/options.js'

const root = join(import.meta.dirname, '..', '..')
const text = readFileSync(join(root, 'docs/LIMITS.md'), 'utf8')
const section = text.slice(text.indexOf('## Options with bounds'), text.indexOf('## Memory'))

/** A number as it stands in the table: `4 KiB`, `1,000,000`, `above 1`, or nothing. */
function parse(cell: string): number | undefined {
  const match = /^([\d.,]+)(?: (KiB|MiB|GiB))?$/.exec(cell)
  if (match === null) return undefined
  return Number((match[1] as string).replaceAll(',', '')) * { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, '': 1 }[match[2] ?? '']!
}

const rows = [...section.matchAll(/^\| `(.*?)` \| (.*?) \| (.*?) \| (.*?) ?\|$/gm)].map(([, name, ...cells]) => ({ name: name as string, cells: cells.map((cell) => cell.trim()) }))

const given = (name: string, value: number): object => (name.startsWith('gc.') ? { gc: { [name.slice(3)]: value } } : { [name]: value })

describe('the table of options', () => {
  const defaults = resolveOptions({}) as unknown as Record<string, unknown> & { gc: Record<string, unknown> }

  it('has every option that is a number', () => {
    const numbers = Object.entries(defaults).filter(([, value]) => typeof value === 'number').map(([name]) => name)
    expect(rows.map(({ name }) => name).filter((name) => !name.startsWith('gc.')).sort()).toEqual(numbers.sort())
  })

  it.each(rows)('$name', ({ name, cells: [usual = '', least = '', most = ''] }) => {
    const actual = name.startsWith('gc.') ? defaults.gc[name.slice(3)] : defaults[name]
    expect(actual).toBe(parse(usual))
    const [smallest, largest] = [parse(least), parse(most)]
    const refused = (value: number): void => expect(() => resolveOptions(given(name, value))).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }))
    if (smallest === undefined) refused(1)
    else {
      resolveOptions(given(name, smallest))
      refused(smallest - 1)
    }
    if (largest !== undefined) {
      resolveOptions(name === 'l0CompactionTrigger' || name === 'l0SlowdownTrigger' ? { ...given(name, largest), l0StopTrigger: largest, l0SlowdownTrigger: largest } : given(name, largest))
      refused(largest + 1)
    }
  })
})

function sourcesOf(name: string): string {
  const dir = join(root, 'packages', name, 'src')
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts')).map((path) => readFileSync(join(dir, path), 'utf8')).join('\n')
}

describe('limits of data', () => {
  it('a key of 65,000 bytes is taken, a longer one is not', async () => {
    expect(text).toContain('| key | 65,000 |')
    await using db = await DB.open('', { inMemory: true })
    await db.put('k'.repeat(65_000), 'v')
    await expect(db.put('k'.repeat(65_001), 'v')).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  })

  const constants: [string, string, string][] = [
    ['db', 'MAX_VALUE_LENGTH = 1024 * MIB', '| value | 1 GiB |'],
    ['codec', 'MAX_SEQUENCE = 0xffff_ffff_ffff', '2^48 - 1 writes'],
    ['db', 'MAX_READS = 100_000', '100,000, and 64 MiB of keys'],
    ['db', 'MAX_READ_BYTES = 64 * 1024 * 1024', '100,000, and 64 MiB of keys'],
    ['db', 'MAX_PROBLEMS = 1000', 'the first 1,000 problems'],
    ['db', 'MAX_WINDOW_ENTRIES = 4096', 'at most 4,096 entries and four times `highWaterMarkBytes`'],
    ['db', 'MAX_WINDOW_BYTES = 4', 'at most 4,096 entries and four times `highWaterMarkBytes`'],
    ['db', 'DEFAULT_HIGH_WATER_MARK = 1024 * 1024', 'default 1 MiB'],
    ['vlog', 'MAX_SPAN = 1 << 17', '16 reads of at most 128 KiB'],
    ['vlog', 'MAX_IN_FLIGHT = 16', '16 reads of at most 128 KiB'],
    ['vlog', 'CHUNK_SIZE = 5 << 18', '1.25 MiB a chunk, 4 kept'],
    ['vlog', 'MAX_POOLED = 4', '1.25 MiB a chunk, 4 kept'],
    ['lsm', 'POOLED_LENGTH = 4 * 1024 * 1024', 'up to 4 MiB kept'],
    ['lsm', 'SYNC_WRITE_LIMIT = 512 * 1024', 'up to 512 KiB to the WAL'],
    ['lsm', 'ROLL_SIZE = 1024 * 1024', '| manifest | 1 MiB'],
    ['lsm', 'LONGEST_DELAY_MS = 10', 'up to 10 ms a group'],
    ['vlog', 'SYNC_READ_LIMIT = 1 << 16', 'reads of up to 64 KiB'],
    ['vlog', 'LONG_SYNC_READ_LIMIT = 1 << 20', 'up to 1 MiB while they are quick'],
    ['fs', 'MAX_HOLD_MS = 4', 'yield after 4 ms'],
  ]
  it.each(constants)('%s has %s', (name, constant, said) => {
    expect(sourcesOf(name), `${constant} changed: docs/LIMITS.md says "${said}"`).toContain(`${constant}\n`)
    expect(text).toContain(said)
  })
})
