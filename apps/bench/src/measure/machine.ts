/** Where and when a run happened: without it no figure is worth keeping. */
import { execFileSync } from 'node:child_process'
import os from 'node:os'

/** Facts about the machine and the program. */
export interface Environment {
  readonly date: string
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cpus: number
  readonly memoryBytes: number
  /** Load average over one minute at the start: other work on the machine. */
  readonly load: number
  /** Commit of the working tree, with `+changes` if it is not clean; null outside a repository. */
  readonly commit: string | null
}

/** Reads them. `dir` is a directory inside the repository. */
export function describeEnvironment(dir: string): Environment {
  const cpus = os.cpus()
  return {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${os.type()} ${os.release()} ${os.arch()}`,
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cpus: cpus.length,
    memoryBytes: os.totalmem(),
    load: Math.round((os.loadavg()[0] ?? 0) * 100) / 100,
    commit: readCommit(dir),
  }
}

function readCommit(dir: string): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', dir, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const commit = git('rev-parse', 'HEAD')
    return git('status', '--porcelain') === '' ? commit : `${commit}+changes`
  } catch {
    return null
  }
}
