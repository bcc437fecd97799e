/**
 * Opens and closes new databases one after the other, `wk` and `classic` taking turns in blocks, and tells on stdout in one line of JSON how
 * many milliseconds one took of each, in its fastest block: what else the machine does slows some blocks, not all.
 *
 * Argument: how many databases of each.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WkLevel } from '@wk/level'
import { ClassicLevel } from 'classic-level'

const count = Number(process.argv[2])
const BLOCK = 25
const base = mkdtempSync(join(tmpdir(), 'wk-level-open-'))
const ms = { wk: Infinity, classic: Infinity }
const levels = { wk: WkLevel, classic: ClassicLevel }

for (let from = 0; from < count; from += BLOCK) {
  for (const name of from % (2 * BLOCK) === 0 ? ['wk', 'classic'] : ['classic', 'wk']) {
    const started = performance.now()
    const to = Math.min(from + BLOCK, count)
    for (let i = from; i < to; i++) {
      const db = new levels[name](join(base, `${name}-${i}`))
      await db.open()
      await db.close()
    }
    ms[name] = Math.min(ms[name], (performance.now() - started) / (to - from))
  }
}
rmSync(base, { recursive: true, force: true })
console.log(JSON.stringify(ms))
