import { wkProject } from '../vitest.shared.js'

export default wkProject('examples')
