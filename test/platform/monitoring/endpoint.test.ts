import { createServer } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { serveProcessMetrics } from '../../../services/platform/monitoring/endpoint.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { metricsPort } from '../../support/samples.ts';

const FIRST = metricsPort();

async function serve(changes: Record<string, unknown>, { state = 'online', missing = [] as string[], databaseAway = false } = {}) {
  const lines: { level: number; msg: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const bus = { state, report: () => ({ missing }) } as unknown as Bus;
  const run = async () => {
    if (databaseAway) throw new TransientError('database.unavailable', 'away');
    return { affectedRows: 1 };
  };
  const sql = { run, rows: async () => [] } as never;
  const { monitoring } = configOf(changes);
  const render = async () => ({ contentType: 'text/plain', body: 'some_total 1\n' });
  const endpoint = await serveProcessMetrics('worker', { monitoring, render, sql, bus, log });
  if (endpoint !== undefined) onTestFinished(() => endpoint.close());
  return { endpoint, lines };
}

test('it is off unless a port is configured, or monitoring is', async () => {
  expect((await serve({})).endpoint).toBeUndefined();
  expect((await serve({ 'monitoring.ports.worker': FIRST, 'monitoring.enabled': false })).endpoint).toBeUndefined();
});

test('several processes of a service on one machine take one port after the other, and each log names its own', async () => {
  const first = await serve({ 'monitoring.ports.worker': FIRST });
  const second = await serve({ 'monitoring.ports.worker': FIRST });
  const ports = [first, second].map(({ endpoint }) => endpoint!.port);
  expect(ports[1]).toBeGreaterThan(ports[0]!);
  expect(ports[1]).toBeLessThan(FIRST + 20);
  expect(second.lines.map(({ msg }) => msg)).toContain(`metrics on http://127.0.0.1:${ports[1]}/metrics`);
  for (const port of ports) expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toBe('some_total 1\n');
});

test('where none of its ports is free the service works without, and the log says what to change', async () => {
  const first = FIRST + 20;
  for (let port = first; port < first + 20; port++) {
    const other = createServer().listen(port, '127.0.0.1');
    await new Promise<void>((resolve) => other.once('listening', () => resolve()).once('error', () => resolve()));
    onTestFinished(() => void other.close());
  }
  const { endpoint, lines } = await serve({ 'monitoring.ports.worker': first });
  expect(endpoint).toBeUndefined();
  expect(lines).toMatchObject([
    { level: 40, msg: expect.stringMatching(/none of the ports.*choose others with monitoring\.ports\.worker/) },
  ]);
});

test('/readyz says what the service does not hear, /healthz whether its database and broker answer', async () => {
  // Not the ports of another test: fetch would use a connection to them again.
  const port = { 'monitoring.ports.worker': FIRST + 10 };
  const ask = async (path: string, port: number) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.json() };
  };
  const deaf = (await serve(port, { missing: ['events/login'] })).endpoint!;
  expect(await ask('/readyz', deaf.port)).toEqual({
    status: 503,
    body: { status: 'unavailable', database: true, broker: true, missing: ['events/login'] },
  });
  expect(await ask('/healthz', deaf.port)).toEqual({ status: 200, body: { status: 'ok', database: true, broker: true } });
  const alone = (await serve(port, { state: 'offline', databaseAway: true })).endpoint!;
  expect(await ask('/healthz', alone.port)).toEqual({ status: 503, body: { status: 'unavailable', database: false, broker: false } });
});
