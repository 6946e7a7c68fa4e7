/** What node measures of its own process, in Prometheus' terms. */
import { collectDefaultMetrics, Registry } from 'prom-client';

/** A new registry with them: memory, processor, event loop, garbage collection. */
export function processRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges under names of counters, which Prometheus' linter refuses. Their parts are in nodejs_active_resources, nodejs_active_handles and nodejs_active_requests.
  for (const kind of ['resources', 'handles', 'requests']) registry.removeSingleMetric(`nodejs_active_${kind}_total`);
  return registry;
}
