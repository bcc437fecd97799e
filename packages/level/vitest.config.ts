import { wkProject } from '../../vitest.shared.js'

export default wkProject('@wk/level', { setupFiles: 'test/clean-up.ts' })
