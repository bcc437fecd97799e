/** All workloads by name. */
import type { WorkloadName } from '../report/result.js'
import { churn } from './churn.js'
import { files } from './files.js'
import { kv } from './kv.js'
import { scale } from './scale.js'
import type { Workload } from './workload.js'

/** In the order of the help; the first is the default. */
export const WORKLOADS: Readonly<Record<WorkloadName, Workload>> = { files, kv, churn, scale }
