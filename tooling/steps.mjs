/**
 * The steps that `npm test` and `npm run bench` share: install and build from a fresh clone.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { removeStaleOutputs } from './stale-outputs.mjs'

/** Runs a command of the workspace (or of the system) and ends this process with its code if it fails. */
export function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' },
  })
  if (error !== undefined) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Installs what the lockfile pins and builds every package. Both do nothing when nothing changed. */
export function prepare() {
  // Not silent: where it fails, for want of a network as a rule, it says why.
  run('npm', ['run', '--loglevel=error', 'bootstrap'])
  run('turbo', ['run', 'build', '--output-logs=errors-only'])
  removeStaleOutputs(join(import.meta.dirname, '..'))
}
