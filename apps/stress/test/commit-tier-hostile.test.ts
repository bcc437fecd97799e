/** Fuzzed files and fuzzed databases at the size of the commit tier. */
import { declareChecks } from './commit-tier.js'

await declareChecks((id) => id === 'F1' || id === 'F3')
