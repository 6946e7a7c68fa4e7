// The process for isolated jobs with a source that answers with the time by which it works.

import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { serveIsolatedJobs } from '../../../services/worker/isolated-process.ts';

await serveIsolatedJobs(async ({ clock }) => {
  const bars = async () => {
    throw new PermanentError('test.time', clock.now().toString());
  };
  const chain = failoverSource({
    sources: [{ name: 'simulated', bars }],
    clock,
    timeoutMs: 60_000,
    breaker: { failures: 1_000, openMs: 1 },
  });
  return { all: chain, real: chain };
});
