/**
 * A plain npm project in a temporary directory that has installed the tarballs of `packed.ts`, once for all tests.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { CLEAN_ENV } from './published.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** The npm project. */
    consumer: string
  }
}

export default function setup(project: TestProject): () => void {
  const consumer = mkdtempSync(join(tmpdir(), 'wk-consumer-'))
  const tarballs = project.getProvidedContext().published.map(({ tarball }) => tarball)
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  execFileSync(npm, ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs, 'abstract-level@3'], { cwd: consumer, env: CLEAN_ENV, stdio: ['ignore', 'ignore', 'inherit'] })
  project.provide('consumer', consumer)
  return () => rmSync(consumer, { recursive: true, force: true })
}
