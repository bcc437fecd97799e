/**
 * A second opener, as a process or as a worker thread: opens a database, says how it went, and holds it until it is told to let
 * go (its input ends, or a message comes). Arguments: directory, lock variant.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { DB } from '@wk/db'
import { NodeFileSystem, type LockVariant } from '@wk/fs'

/** What it says, as one line of JSON. */
export interface OpenOutcome {
  /** Whether it has the database. */
  readonly open: boolean
  readonly code: string | undefined
  /** The holder that the error named. */
  readonly pid: number | undefined
  readonly milliseconds: number
}

const [dir = '', variant = 'default'] = isMainThread ? process.argv.slice(2) : (workerData as string[])

async function main(): Promise<void> {
  const fs = new NodeFileSystem(variant === 'default' ? {} : { lockVariant: variant as LockVariant })
  const started = performance.now()
  let db: DB | undefined
  let failure: { code?: string; pid?: number } = {}
  try {
    db = await DB.open(dir, { fs, workers: 0 })
  } catch (error) {
    failure = error as { code?: string; pid?: number }
  }
  const outcome: OpenOutcome = { open: db !== undefined, code: failure.code, pid: failure.pid, milliseconds: performance.now() - started }
  if (parentPort !== null) {
    parentPort.postMessage(outcome)
    await db?.close()
    parentPort.close()
    return
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
  for await (const _ of process.stdin);
  await db?.close()
}

await main()
