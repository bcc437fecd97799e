/**
 * `npm run bench`: installs, builds, and runs the main job of apps/bench. Arguments go on to it.
 */
import { prepare, run } from './steps.mjs'

prepare()
run(process.execPath, ['apps/bench/dist/main.js', ...process.argv.slice(2)])
