/**
 * `pnpm stress`: installs, builds, and runs the checks of apps/stress. Arguments go on to it.
 */
import { prepare, run } from './steps.mjs'

prepare()
run(process.execPath, ['apps/stress/dist/main.js', ...process.argv.slice(2)])
