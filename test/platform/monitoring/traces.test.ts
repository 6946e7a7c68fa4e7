import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { InputError } from '../../../services/platform/errors.ts';
import { spanCounts, spanOf, startSpan, startTrace, startTracing } from '../../../services/platform/monitoring/traces.ts';
import { silent } from '../../broker/peers.ts';

// The example of W3C Trace Context, section 3.2.3.
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SAMPLED = `00-${TRACE}-00f067aa0ba902b7-01`;
const NOT_SAMPLED = `00-${TRACE}-00f067aa0ba902b7-00`;

let stop = async (): Promise<void> => {};
afterEach(() => stop());

/** A collector that answers with this status. `received`: the bodies that it got. */
async function collector(status: number): Promise<{ url: string; received: string[] }> {
  const received: string[] = [];
  const server = createServer(async (request, response) => {
    received.push(Buffer.concat(await request.toArray()).toString());
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

async function trace({ sample = 0, status = 200 } = {}): Promise<string[]> {
  const { url, received } = await collector(status);
  stop = await startTracing({ service: 'test', instance: 't1', version: '0' }, { endpoint: url, sample }, silent);
  return received;
}

const traceOf = (traceparent: string | undefined): string | undefined => traceparent?.split('-')[1];

test('without a collector there are no spans, whatever the caller wants', async () => {
  stop = await startTracing({ service: 'test', instance: 't1', version: '0' }, { endpoint: null, sample: 1 }, silent);
  expect(startTrace('login', SAMPLED)).toBeUndefined();
  expect(startSpan('job.run', SAMPLED)).toBeUndefined();
});

test('the caller decides for its trace, and the configured share for the others', async () => {
  await trace({ sample: 0 });
  expect(traceOf(startTrace('login', SAMPLED)?.traceparent)).toBe(TRACE);
  expect(startTrace('login', undefined)).toBeUndefined();
  await stop();
  await trace({ sample: 1 });
  expect(startTrace('login', NOT_SAMPLED)).toBeUndefined();
  expect(startTrace('login', undefined)).toBeDefined();
});

// W3C Trace Context, section 3.2.2: lower case, no zeros alone, no version ff; a later version may have more fields.
test.each([
  `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `ff-${TRACE}-00f067aa0ba902b7-01`,
  `00-${TRACE}-00f067aa0ba902b7-01-more`,
  'nonsense',
])('%s is no context: a new trace begins', async (traceparent) => {
  await trace({ sample: 1 });
  const begun = startTrace('login', traceparent)?.traceparent;
  expect(begun).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(traceOf(begun)).not.toBe(TRACE);
});

test('a context of a later version is taken', async () => {
  await trace();
  expect(traceOf(startTrace('login', `01-${TRACE}-00f067aa0ba902b7-01-more`)?.traceparent)).toBe(TRACE);
});

test('a span without a trace is none: only where work comes in one begins', async () => {
  await trace({ sample: 1 });
  expect([startSpan('job.run', null), startSpan('job.run', undefined)]).toEqual([undefined, undefined]);
});

test('an error leaves its code in the span, and nothing of its text, which may name a user', async () => {
  const received = await trace();
  const failed = spanOf(startTrace('login', SAMPLED)!, Promise.reject(new InputError('login.expired', 'the login of zoe is old')));
  await expect(failed).rejects.toThrow('zoe');
  await stop();
  expect(received.join()).not.toContain('zoe');
  const [span] = JSON.parse(received[0]!).resourceSpans[0].scopeSpans[0].spans;
  // 2 is STATUS_CODE_ERROR of opentelemetry-proto.
  expect(span.status).toEqual({ code: 2, message: 'login.expired' });
  expect(span.attributes).toContainEqual({ key: 'error.type', value: { stringValue: 'login.expired' } });
});

test('a collector that refuses spans costs them and nothing else: they are counted as lost', async () => {
  const before = spanCounts().lost;
  await trace({ status: 400 });
  startTrace('login', SAMPLED)?.end();
  await stop();
  expect(spanCounts().lost - before).toBe(1);
});

test('spans that a slow collector does not take in time are lost and not kept: the queue has a bound', async () => {
  const { lost, exported } = spanCounts();
  const received = await trace();
  // All within one turn, so that none is exported between them.
  for (let n = 0; n < 3_000; n++) startTrace('login', SAMPLED)?.end();
  await stop();
  const sent = received.flatMap((body) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans).length;
  expect(sent).toBe(2_048);
  expect(spanCounts()).toEqual({ lost: lost + 952, exported: exported + 2_048 });
});
