/** E1: a second open is told who holds the database, and a killed holder leaves nothing to clean up. */
import { DB } from '@wk/db'
import { NodeFileSystem } from '@wk/fs'
import type { Check, Report } from '../check.js'
import type { OpenOutcome } from '../lock-child.js'
import { openInProcess, openInWorker, VARIANTS, withDirectory } from '../openers.js'

/** Longest time that a refusal, or an open after a kill, may take. */
const MAX_MS = 1000

/** Each case: same thread, worker, other process, then a holder that is killed; lock variants in turn. */
export const check: Check = {
  id: 'E1',
  title: 'second open: same thread, worker, other process; then SIGKILL of the owner; with and without fs-native-extensions',
  means: 'WK_LOCKED with the pid of the holder within a second, the owner unharmed; after the kill the next open succeeds within a second',
  unit: 'rounds',
  cases: { commit: 3, nightly: 20, release: 100 },
  async run({ cases }, _seed, report) {
    for (let i = 0; i < cases && !report.full; i++) {
      const variant = VARIANTS[i % VARIANTS.length] ?? 'default'
      await withDirectory((dir) => round(dir, variant, report))
      report.ran()
    }
  },
}

async function round(dir: string, variant: (typeof VARIANTS)[number], report: Report): Promise<void> {
  const open = (): Promise<DB> => DB.open(dir, { fs: new NodeFileSystem(variant === 'default' ? {} : { lockVariant: variant }), workers: 0 })
  const owner = await open()
  await owner.put('mine', 'first')
  const refused = (where: string, { open: isOpen, code, pid, milliseconds }: OpenOutcome, holder: number | undefined): void => {
    if (isOpen || code !== 'WK_LOCKED') report.fail(`${variant}, ${where}: ${isOpen ? 'opened' : String(code)} instead of WK_LOCKED`)
    else if (pid !== holder) report.fail(`${variant}, ${where}: names ${String(pid)} instead of ${String(holder)}`)
    if (milliseconds > MAX_MS) report.fail(`${variant}, ${where}: took ${milliseconds.toFixed()} ms`)
  }
  const started = performance.now()
  const own = await open().then(
    async (second): Promise<Partial<OpenOutcome>> => {
      await second.close()
      return { open: true }
    },
    (error: { code?: string; pid?: number }) => ({ open: false, code: error.code, pid: error.pid }),
  )
  refused('same thread', { open: own.open === true, code: own.code, pid: own.pid, milliseconds: performance.now() - started }, process.pid)
  refused('worker', await openInWorker(dir, variant), process.pid)
  const other = await openInProcess(dir, variant)
  refused('other process', other.outcome, process.pid)
  await other.release()
  await owner.put('mine', 'second')
  if (Buffer.from((await owner.get('mine')) ?? []).toString() !== 'second') report.fail(`${variant}: the owner cannot go on`)
  await owner.close()

  const holder = await openInProcess(dir, variant)
  if (!holder.outcome.open) report.fail(`${variant}: not free after close: ${String(holder.outcome.code)}`)
  refused('beside another process', await openInWorker(dir, variant), holder.process.pid)
  await holder.kill()
  const again = performance.now()
  try {
    const db = await open()
    if (performance.now() - again > MAX_MS) report.fail(`${variant}: opening after SIGKILL took ${(performance.now() - again).toFixed()} ms`)
    if (Buffer.from((await db.get('mine')) ?? []).toString() !== 'second') report.fail(`${variant}: a value is gone after SIGKILL`)
    await db.close()
  } catch (error) {
    report.fail(`${variant}: opening after SIGKILL: ${String(error)}`)
  }
}
