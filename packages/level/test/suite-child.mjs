/**
 * The process in which abstract-level's own suite runs over one implementation: TAP on stdout, exit code 1 on a failure,
 * and on stderr one line of JSON with how many databases were made and how long it took.
 *
 * Argument: `wk` or `classic`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import suite from 'abstract-level/test/index.js'
import test from 'tape'

const Level = process.argv[2] === 'classic' ? (await import('classic-level')).ClassicLevel : (await import('@wk/level')).WkLevel
const base = mkdtempSync(join(tmpdir(), 'wk-level-suite-'))
let databases = 0

suite({
  test,
  factory: (options) => new Level(join(base, String(databases++)), options),
})

test.onFinish(() => {
  const { user, system } = process.cpuUsage()
  console.error(JSON.stringify({ databases, wallMs: Math.round(performance.now()), cpuMs: Math.round((user + system) / 1000) }))
  rmSync(base, { recursive: true, force: true })
})
