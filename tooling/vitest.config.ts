import { wkProject } from '../vitest.shared.js'

export default wkProject('tooling', { isolate: true })
