import { wkProject } from '../../vitest.shared.js'

export default wkProject('@wk/bench', { isolate: true })
