/**
 * Applications in one file, by esbuild and by rolldown, away from any node_modules: with the worker as a second entry
 * point background work is done there, without it on the main thread, with one warning.
 */
import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build as esbuild } from 'esbuild'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { CLEAN_ENV } from '../published.js'

const run = promisify(execFile)
const APP = join(import.meta.dirname, '..', 'app')

const BUNDLERS: Record<string, (input: Record<string, string>, dir: string) => Promise<unknown>> = {
  esbuild: (entryPoints, outdir) => esbuild({ entryPoints, outdir, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' }),
  rolldown: async (input, dir) => {
    const bundle = await rolldown({ input, platform: 'node', logLevel: 'silent' })
    await bundle.write({ dir, format: 'esm' })
    await bundle.close()
  },
}

describe.each(Object.keys(BUNDLERS))('bundled by %s', (name) => {
  const out = mkdtempSync(join(tmpdir(), 'wk-bundle-'))
  const start = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await run(process.execPath, [join(out, 'main.js'), mkdtempSync(join(out, 'db-')), ...args], { cwd: out, env: CLEAN_ENV })
    return JSON.parse(stdout)
  }

  beforeAll(async () => {
    // The sources of the application lie where it has installed its packages.
    const sources = join(inject('consumer'), `app-${name}`)
    mkdirSync(sources)
    for (const file of ['main.js', 'worker.js']) copyFileSync(join(APP, file), join(sources, file))
    await BUNDLERS[name]?.({ main: join(sources, 'main.js'), worker: join(sources, 'worker.js') }, out)
  })
  afterAll(() => rmSync(out, { recursive: true, force: true }))

  const done = { flushes: expect.any(Number) as number, compactions: expect.any(Number) as number, last: '4999', ok: true }

  it('runs with the worker that the option names', async () => {
    expect(existsSync(join(out, 'worker.js'))).toBe(true)
    expect(await start('./worker.js')).toEqual({ warnings: [], ...done })
  })

  it('runs without it, and warns once', async () => {
    expect(await start()).toEqual({ warnings: ['WK_WORKER_UNAVAILABLE'], ...done })
  })
})
