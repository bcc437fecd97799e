/** Shared by E1 and E2: other processes and threads that open the same directory. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'
import type { LockVariant } from '@wk/fs'
import { childPath } from './child-path.js'
import type { OpenOutcome } from './lock-child.js'

/** How locks are taken: as found, and as where fs-native-extensions is absent. */
export const VARIANTS: readonly (LockVariant | 'default')[] = process.platform === 'linux' ? ['default', 'socket', 'pidfile'] : ['default', 'pidfile']

/** A process that has tried to open. */
export interface Opener {
  readonly process: ChildProcess
  readonly outcome: OpenOutcome
  /** Has it close the database, if it has it, and end. */
  release(): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts a process that opens `dir`, and waits for what it says. */
export async function openInProcess(dir: string, variant: string): Promise<Opener> {
  const child = spawn(process.execPath, [childPath('lock-child'), dir, variant], { stdio: ['pipe', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([text]) => text as string),
    gone.then(([code]) => {
      throw new Error(`the opener ended with status ${String(code)} and said nothing`)
    }),
  ])
  return {
    process: child,
    outcome: JSON.parse(line) as OpenOutcome,
    release: async () => {
      child.stdin.end()
      await gone
    },
    kill: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** Opens `dir` in a worker thread, and closes again. */
export async function openInWorker(dir: string, variant: string): Promise<OpenOutcome> {
  const worker = new Worker(childPath('lock-child'), { workerData: [dir, variant] })
  const [outcome] = (await once(worker, 'message')) as [OpenOutcome]
  await worker.terminate()
  return outcome
}

/** Runs with a fresh directory, which is removed afterwards. */
export async function withDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), 'wk-lock-'))
  try {
    await run(join(parent, 'db'))
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
}
