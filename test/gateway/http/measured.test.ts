/** What a gateway says of itself to supervisors and collectors. */
import fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { expect, onTestFinished, test } from 'vitest';
import type { App, Parts } from '../../../services/gateway/http/app.ts';
import { healthRoutes } from '../../../services/gateway/http/health.ts';
import { measure } from '../../../services/gateway/http/metrics.ts';

type Measured = Parameters<typeof measure>[1];

/** A server with the routes for supervisors and collectors, of parts that say what the test wants. */
function serverOf({ state = 'online', granted = true, offsetMs = undefined as number | undefined, isAway = false } = {}) {
  const app = fastify() as unknown as App;
  onTestFinished(() => app.close());
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const away = () => Promise.reject(new Error('away'));
  const parts = {
    bus: {
      state,
      report: () => ({
        counters: { published: 7, dropped: 1 },
        missing: granted ? [] : ['data/+/+'],
      }),
    },
    clock: { now: () => Temporal.Now.instant(), offsetMs },
    db: { retries: new Map([[1213, 3]]), run: isAway ? away : async () => ({ affectedRows: 1 }), rows: isAway ? away : async () => [] },
    streams: { size: 4, cut: 2 },
    refusals: { refused: { all: 0, address: 9 } },
    admission: { waiting: 12, counters: { unknownFields: 8 } },
    loginRefusals: { counts: new Map([['request.invalid', 6]]) },
    callbacks: { counters: { pending: 2, delivered: 5, failed: 1 } },
  };
  const metrics = measure(app, parts as unknown as Measured);
  healthRoutes(app, parts as unknown as Parts, metrics);
  const samples = async (): Promise<Record<string, number>> => {
    const text = (await app.inject('/metrics')).payload;
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
  };
  return { app, samples };
}

test('the metrics show the connections, clients, deliveries, retries and messages of the process, however often they are read', async () => {
  const { samples } = serverOf({ offsetMs: -1_250 });
  await samples();
  expect(await samples()).toMatchObject({
    stockmesh_broker_up: 1,
    stockmesh_clock_offset_seconds: -1.25,
    stockmesh_event_streams: 4,
    stockmesh_event_streams_cut_total: 2,
    'stockmesh_http_connections_refused_total{limit="address"}': 9,
    'stockmesh_logins_refused_total{reason="request.invalid"}': 6,
    stockmesh_login_unknown_fields_total: 8,
    stockmesh_logins_held: 12,
    'stockmesh_callbacks_total{outcome="delivered"}': 5,
    'stockmesh_callbacks_total{outcome="pending"}': 2,
    'stockmesh_transaction_retries_total{errno="1213"}': 3,
    'stockmesh_bus_messages_total{outcome="published"}': 7,
  });
  expect(await serverOf({ state: 'offline' }).samples()).toMatchObject({
    stockmesh_broker_up: 0,
    stockmesh_clock_offset_seconds: Number.NaN,
  });
});

test('the time of an answer is in seconds, by its route, with a bucket for what a list may take', async () => {
  const { app, samples } = serverOf();
  for (const path of ['/healthz', '/healthz', '/nowhere']) await app.inject(path);
  const shown = await samples();
  const of = (suffix: string, more = '') =>
    shown[`stockmesh_http_request_duration_seconds_${suffix}{${more}method="GET",route="/healthz",status="200"}`];
  expect(of('count')).toBe(2);
  // In milliseconds two answers would take more than a millisecond each, on any machine; in seconds less than a minute.
  expect(of('sum')).toBeLessThan(60);
  const buckets = Object.keys(shown).flatMap(
    (name) => /^stockmesh_http_request_duration_seconds_bucket\{le="([^"]+)",.*healthz/.exec(name)?.[1] ?? [],
  );
  expect(buckets).toEqual(['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '10', '+Inf']);
  expect(Object.keys(shown).join(' ')).toContain(
    'stockmesh_http_request_duration_seconds_count{method="GET",route="unknown",status="404"}',
  );
});

test.each([
  [{}, 200, { status: 'ok', missing: [] }],
  [{ granted: false }, 503, { status: 'unavailable', database: true, broker: true, subscriptions: false, missing: ['data/+/+'] }],
  [{ state: 'offline' }, 503, { status: 'unavailable', database: true, broker: false, subscriptions: true }],
  [{ isAway: true }, 503, { status: 'unavailable', database: false, broker: true }],
])('a gateway of %o is ready with %d', async (parts, status, body) => {
  const answer = await serverOf(parts).app.inject('/readyz');
  expect([answer.statusCode, answer.json()]).toMatchObject([status, body]);
  expect(answer.headers['cache-control']).toBe('no-store');
});
