/**
 * The part that `npm test` runs: what is in the tarballs, and the build without the optional packages. `npm run check-packages` runs
 * all (`installed.config.ts`).
 */
import { wkProject } from '../../vitest.shared.js'

export default wkProject('packaging', { isolate: true, globalSetup: 'packed.ts', include: ['test/contents.test.ts', 'test/optional-packages.test.ts'], testTimeout: 120_000 })
