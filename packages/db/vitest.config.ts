import { wkProject } from '../../vitest.shared.js'

export default wkProject('@wk/db', { setupFiles: 'test/clean-up.ts' })
