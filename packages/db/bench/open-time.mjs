/**
 * How long opening takes: a database of 10 million keys in a thousand tables after a clean close, first read included, and an empty one.
 *
 *   npx tsc -b && node bench/open-time.mjs [keys] [directory]
 *
 * The large one is built once in the directory (a minute or two; values of 8 bytes, in the tree) and kept for the next run.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DB } from '../dist/index.js'

const KEYS = Number(process.argv[2] ?? 10_000_000)
const ROOT = process.argv[3] ?? join(tmpdir(), 'wk-open-time')
const TABLES = 1000
const OPTIONS = { tableSize: Math.max(4096, Math.floor((KEYS * 16) / TABLES)), levelBaseSize: 64 << 20 }

function keyOf(i) {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(Math.imul(i, 0x9e37_79b1) >>> 0, 0)
  key.writeUInt32BE(i, 4)
  return key
}

async function build(dir) {
  const db = await DB.open(dir, OPTIONS)
  const value = new Uint8Array(8)
  for (let at = 0; at < KEYS; at += 10_000) {
    await db.batch(Array.from({ length: Math.min(10_000, KEYS - at) }, (_, i) => ({ type: 'put', key: keyOf(at + i), value })))
  }
  await db.compact()
  await db.close()
}

async function opened(dir, read) {
  const started = performance.now()
  const db = await DB.open(dir, OPTIONS)
  const ready = performance.now()
  if (read !== undefined) await db.get(read)
  const done = performance.now()
  await db.close()
  return { open: ready - started, first: done - ready, close: performance.now() - done }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
function row(name, runs) {
  return { case: name, 'open ms': median(runs.map(({ open }) => open)).toFixed(1), 'first read ms': median(runs.map(({ first }) => first)).toFixed(1), 'close ms': median(runs.map(({ close }) => close)).toFixed(1) }
}

const rows = []
const large = join(ROOT, `keys-${KEYS}`)
if (!existsSync(large)) {
  mkdirSync(ROOT, { recursive: true })
  await build(large)
}
const tables = readdirSync(large).filter((name) => name.endsWith('.sst')).length
const runs = []
for (let i = 0; i < 7; i++) runs.push(await opened(large, keyOf(Math.floor(Math.random() * KEYS))))
rows.push({ ...row(`${KEYS} keys in ${tables} tables, first open`, runs.slice(0, 1)) }, row('  the same, opened again', runs.slice(1)))

const empties = mkdtempSync(join(tmpdir(), 'wk-open-'))
const made = [], again = []
for (let i = 0; i < 30; i++) {
  const dir = join(empties, String(i))
  made.push(await opened(dir))
  again.push(await opened(dir))
}
rmSync(empties, { recursive: true })
rows.push(row('a new one', made), row('an empty one, opened again', again))
console.table(rows)
