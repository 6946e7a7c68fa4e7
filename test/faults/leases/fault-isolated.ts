// The process for isolated jobs of fault-worker.ts.
import { serveIsolatedJobs } from '../../../services/worker/isolated-process.ts';
import { faultSources } from './fault-source.ts';

await serveIsolatedJobs(faultSources);
