/** D4: a file system that is really full, and a real limit on the size of a file. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KILLED, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import type { LimitRequest } from '../limits/limit-child.js'
import { judgeLimited, runLimited } from '../limits/limited.js'
import { withDirectory } from '../temporary.js'

/** Runs on a small tmpfs (where this process may mount one) and under a file-size limit, in turns. */
export const check: Check = {
  id: 'D4',
  title: 'ENOSPC on a size-limited mount, EFBIG by file-size limit',
  means: 'read-only, readable, close() < 1 s; reopens when space is back, without debris',
  unit: 'runs',
  cases: { commit: 0, nightly: 20, release: 100 },
  async run({ cases, only }, seed, report) {
    const met: Record<string, number> = {}
    for (let number = Number(only ?? 0); number < (only === undefined ? cases : Number(only) + 1) && !report.full; number++) {
      const rng = new Rng(seed * 1000 + number)
      await withDirectory(async (place) => {
        const request: LimitRequest = { dir: join(place, 'disk', 'db'), seed: seed * 1000 + number, steps: 20_000, options: { ...KILLED, gc: { auto: rng.chance(0.5), minGarbage: 8192 } } }
        mkdirSync(join(place, 'disk'))
        // In blocks of 512 bytes; smaller than a value log, so that it is met there, or than a table.
        const run = number % 2 === 0 ? await onSmallDisk(join(place, 'disk'), rng, request) : await withFileLimit(request, rng.between(20, 60))
        if (run === undefined) {
          report.note('this process may not mount a tmpfs: only the file-size limit was tried')
          return
        }
        met[run.errno] = (met[run.errno] ?? 0) + 1
        for (const message of run.wrong) report.fail(`run ${number}: ${message}`, String(number))
        report.ran()
      })
    }
    report.note(`refused with ${JSON.stringify(met)}`)
  },
}

interface Run {
  readonly errno: string
  readonly wrong: readonly string[]
}

async function withFileLimit(request: LimitRequest, blocks: number): Promise<Run> {
  const limited = runLimited(request, `-f ${blocks}`)
  return { errno: limited.refused?.errno ?? 'nothing', wrong: [...(limited.refused === undefined ? ['the limit was never met'] : []), ...(await judgeLimited(request, limited))] }
}

/** Undefined where nothing may be mounted. */
async function onSmallDisk(dir: string, rng: Rng, request: LimitRequest): Promise<Run | undefined> {
  const size = rng.between(3000, 6000)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}k`, 'tmpfs', dir]).status !== 0) return undefined
  try {
    const ballast = join(dir, 'ballast')
    writeFileSync(ballast, new Uint8Array((size - rng.between(400, 900)) * 1024))
    // A background that collects would keep this workload small enough for ever.
    const limited = runLimited({ ...request, options: { ...request.options, gc: { auto: false } } })
    rmSync(ballast)
    return { errno: limited.refused?.errno ?? 'nothing', wrong: [...(limited.refused === undefined ? ['the disk was never full'] : []), ...(await judgeLimited(request, limited))] }
  } finally {
    spawnSync('umount', [dir])
  }
}
