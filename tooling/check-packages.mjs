/**
 * `npm run check-packages`: installs and builds, then checks every package as it is published (`tooling/packaging`).
 */
import { prepare, run } from './steps.mjs'

prepare()
run('vitest', ['run', '--config', 'tooling/packaging/installed.config.ts'])
