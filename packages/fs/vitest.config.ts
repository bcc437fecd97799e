import { wkProject } from '../../vitest.shared.js'

export default wkProject('@wk/fs', { isolate: true })
