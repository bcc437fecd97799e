/**
 * What the value log costs over the system calls it makes, as ratios of one run.
 *
 *   npx tsc -b && node bench/ratios.mjs [rounds] [directory]
 *
 * append: groups of 1 MiB of incompressible values through `append` (copy or gather, CRC-32C, bookkeeping), against
 * `writeSync` of the same bytes, made before. read: verified `readSync` of random records, against `fs.readSync` of the same
 * ranges into a fresh buffer each. Both sides take turns (group by group, a hundred reads by a hundred) and medians are
 * compared: other load on the machine meets both. Everything stays in the page cache; nothing is synced.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ValueLog } from '../dist/index.js'

const ROUNDS = Number(process.argv[2] ?? 15)
const ROOT = process.argv[3] ?? tmpdir()
const GROUP = 1 << 20
const GROUPS_A_ROUND = 40
const READS = 100

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]

async function inDirectory(work) {
  const dir = mkdtempSync(join(ROOT, 'wk-vlog-bench-'))
  try {
    return await work(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function groupOf(valueLength) {
  const count = GROUP / valueLength
  return Array.from({ length: count }, (_, i) => ({ key: Buffer.from(`user:${String(i).padStart(11, '0')}`), value: new Uint8Array(randomBytes(valueLength)), version: i }))
}

async function append(valueLength, options = {}) {
  const log = [], raw = []
  // Groups of their own, so that neither side finds its bytes in the processor's cache because it wrote them a moment ago.
  const groups = Array.from({ length: 8 }, () => groupOf(valueLength))
  const blocks = groups.map((group) => Buffer.concat(group.flatMap(({ key, value }) => [key, new Uint8Array(21), value])))
  const bytes = blocks[0].length
  for (let round = 0; round < ROUNDS; round++) {
    await inDirectory(async (dir) => {
      const vlog = await ValueLog.open(join(dir, 'log'), options)
      await vlog.append(groups[0])
      const fd = openSync(join(dir, 'raw'), 'w+')
      for (let i = 0; i < GROUPS_A_ROUND; i++) {
        let started = performance.now()
        await vlog.append(groups[i % 8])
        log.push(performance.now() - started)
        started = performance.now()
        writeSync(fd, blocks[(i + 3) % 8], 0, bytes, i * bytes)
        raw.push(performance.now() - started)
      }
      closeSync(fd)
      // No sync of what was written: it would keep the device busy under the next measurement.
      vlog.abandon(new Error('measured'))
      await vlog.close()
    })
  }
  return row(`append, ${valueLength / 1024} KiB values`, bytes, log, raw)
}

function row(name, bytes, log, raw) {
  const rate = (ms) => Math.round(bytes / 1000 / ms)
  const a = median(log), b = median(raw)
  return { case: name, 'log MB/s': rate(a), 'raw MB/s': rate(b), ratio: (b / a).toFixed(2) }
}

async function read(valueLength, options = {}) {
  return inDirectory(async (dir) => {
    const log = [], raw = []
    const vlog = await ValueLog.open(dir, options)
    const pointers = []
    while (pointers.length < 4096) {
      if (pointers.length * valueLength > 64 << 20) break
      pointers.push(...(await vlog.append(groupOf(valueLength))))
    }
    await vlog.close()
    const reader = await ValueLog.open(dir, { ...options, readOnly: true })
    const fd = openSync(join(dir, '000001.vlog'), 'r')
    const bunch = () => Array.from({ length: READS }, () => pointers[Math.floor(Math.random() * pointers.length)])
    for (let round = -10; round < 20 * ROUNDS; round++) {
      const picks = bunch(), others = bunch()
      let started = performance.now()
      for (const pointer of picks) reader.readSync(pointer)
      if (round >= 0) log.push(performance.now() - started)
      started = performance.now()
      for (const { offset, len } of others) readSync(fd, Buffer.allocUnsafeSlow(len), 0, len, offset)
      if (round >= 0) raw.push(performance.now() - started)
    }
    closeSync(fd)
    await reader.close()
    return row(`readSync, ${valueLength / 1024} KiB values`, READS * valueLength, log, raw)
  })
}

const rows = [
  await append(4096),
  await append(65536),
  await read(1024),
  await read(16384),
]
if (process.argv.includes('--encrypted')) {
  const encryptionKey = randomBytes(32)
  for (const size of [1024, 4096, 65536]) rows.push({ ...(await append(size, { encryptionKey })), case: `append encrypted, ${size / 1024} KiB` })
  for (const size of [1024, 16384]) rows.push({ ...(await read(size, { encryptionKey })), case: `readSync encrypted, ${size / 1024} KiB` })
}
console.table(rows)
