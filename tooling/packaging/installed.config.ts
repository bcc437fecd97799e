/** `npm run check-packages`: tarballs, their conventions, and a plain npm project that has installed them. */
import { wkProject } from '../../vitest.shared.js'

export default wkProject('packages', { root: import.meta.dirname, globalSetup: ['packed.ts', 'consumer.ts'], include: ['test/*.test.ts'], testTimeout: 120_000 })
