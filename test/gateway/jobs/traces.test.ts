/** Requests over HTTP as traces. */
import { expect, test } from 'vitest';
import { startTracing } from '../../../services/platform/monitoring/traces.ts';
import { silent } from '../../broker/peers.ts';
import { startCollector } from '../../e2e/collector.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

/** The example of W3C Trace Context, section 3.2. */
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';

/** Asks for a job over HTTP, and gives the spans and the trace of the job. */
async function ask(sample: number, headers: Record<string, string>) {
  const collector = await startCollector();
  const stop = await startTracing({ service: 'gateway', instance: 'g1', version: '0' }, { endpoint: collector.url, sample }, silent);
  const { port } = new URL(mesh.gateway.url);
  const response = await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${mesh.operator.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ type: 'fetch', symbol: 'AAPL' }),
  });
  expect(response.status).toBe(202);
  await stop();
  const [job] = await mesh.db.rows<{ trace: string | null }>('SELECT trace FROM jobs');
  return { spans: collector.spans, trace: job!.trace };
}

test('a request goes on with the trace of its caller, and its job belongs to that', async () => {
  const { spans, trace } = await ask(0, { traceparent: `00-${TRACE_ID}-${CALLER}-01` });
  const [request, enqueue] = ['request', 'job.enqueue'].map((name) => spans.find((span) => span.name === name));
  expect(request).toMatchObject({ traceId: TRACE_ID, parentSpanId: CALLER, kind: 2 });
  expect(enqueue).toMatchObject({ traceId: TRACE_ID, parentSpanId: request!.spanId });
  expect(trace).toBe(`00-${TRACE_ID}-${enqueue!.spanId}-01`);
});

test('a request without a context is a trace of its own, by the configured share', async () => {
  const sampled = await ask(1, {});
  expect(sampled.spans.find(({ name }) => name === 'request')).not.toHaveProperty('parentSpanId');
  expect(sampled.trace).toContain(sampled.spans[0]!.traceId);
  await mesh.db.run('DELETE FROM live_keys');
  await mesh.db.run('DELETE FROM jobs');
  const other = await ask(0, {});
  expect(other).toEqual({ spans: [], trace: null });
});
