/**
 * `npm run release`: builds, checks every package as it is published, and publishes those whose version is not in the
 * registry yet. See docs/RELEASING.md.
 */
import { prepare, run } from './steps.mjs'

prepare()
run('vitest', ['run', '--config', 'tooling/packaging/installed.config.ts'])
run('changeset', ['publish'])
