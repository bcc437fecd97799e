/** Concurrent histories at the size of the commit tier. */
import { declareChecks } from './commit-tier.js'

await declareChecks((id) => id === 'G4')
