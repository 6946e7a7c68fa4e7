/** What is heard of a login that is refused, and what counts as an event, with each broker. */
import { expect, test, vi } from 'vitest';
import { onEachBroker } from '../broker/brokers.ts';
import { hold, ledgerFixture } from '../logins/ledger-fixture.ts';
import { configOf } from '../scheduler/configuration.ts';
import { faultsOf } from '../support/promtool.ts';
import { endpointIn, metricsPort, samplesOf } from '../support/samples.ts';
import { startInstance, startSite, startSiteOn } from './service-fixture.ts';

const fixture = ledgerFixture();
const soon = { timeout: 20_000 };
// A plain subscription: a shared one is given no retained message.
const config = configOf({ 'queue.mqtt.share_logins': false, 'monitoring.ports.portfolio_priority': metricsPort() });

onEachBroker(({ start, name }) => {
  test.for([
    ['secret, not JSON', 'message.invalid_json'],
    ['', 'message.empty'],
    [Buffer.from([0x7b, 0xff, 0x7d]), 'message.not_utf8'],
    ['{"user":"secret"}', 'message.invalid'],
    ['{"userId":"secret\\u0000"}', 'message.invalid'],
    [`{"userId":"alice","at":"2020-01-01T00:00:00Z"}`, 'login.expired'],
  ] as const)('%j is refused, and the monitor hears why and nothing of what was sent', async ([payload, code]) => {
    const site = await startSiteOn(start);
    const { service } = await startInstance(site, fixture.database, { config });
    await site.publish(payload as string);
    await vi.waitFor(() => expect(site.refusals).toHaveLength(1), soon);
    expect(site.refusals[0]).toMatchObject({
      ...{ source: 'portfolio-priority', code, count: 1, topic: 'events/login' },
      bytes: Buffer.byteLength(payload),
    });
    expect(JSON.stringify(site.refusals)).not.toContain('secret');
    expect(service.counters).toMatchObject({ refused: 1, admitted: 0 });
  });

  test('a retained login is no event for a service that comes later', async () => {
    await hold(fixture.db, { alice: ['AAPL'], bob: ['AAPL'] });
    const site = await startSiteOn(start);
    await site.publish('{"userId":"alice"}', { retain: true, qos: 0 });
    const { service } = await startInstance(site, fixture.database, { config });
    await site.signIn({ userId: 'bob' });
    await vi.waitFor(() => expect(site.answers.get('bob')).toMatchObject({ queued: 1 }), soon);
    // The embedded broker keeps none; Mosquitto does, and its delivery is refused.
    await vi.waitFor(() => expect(service.counters).toMatchObject({ admitted: 1, refused: name === 'embedded' ? 0 : 1 }), soon);
    if (name !== 'embedded') await vi.waitFor(() => expect(site.refusals).toMatchObject([{ code: 'message.retained' }]), soon);
    expect(site.answers.has('alice')).toBe(false);
  });

  test('a login with the retain flag counts for the service that is there', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const site = await startSiteOn(start);
    const { service } = await startInstance(site, fixture.database, { config });
    await site.publish('{"userId":"alice"}', { retain: true });
    await vi.waitFor(() => expect(site.answers.get('alice')).toMatchObject({ queued: 1 }), soon);
    expect(service.counters).toMatchObject({ admitted: 1, refused: 0 });
  });
});

test('fields that are not known are left out and counted, and the login is admitted', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const site = await startSite();
  const { service } = await startInstance(site, fixture.database);
  await site.signIn({ userId: 'alice', password: 'x', tenant: 7 });
  await vi.waitFor(() => expect(site.answers.get('alice')).toMatchObject({ queued: 1 }), soon);
  await vi.waitFor(() => expect(service.counters).toMatchObject({ admitted: 1, refused: 0, unknownFields: 2 }), soon);
  expect(site.refusals).toEqual([]);
});

test('its metrics count what came of logins, and are as Prometheus wants them', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const site = await startSite();
  const { lines } = await startInstance(site, fixture.database, { config });
  await site.signIn({ userId: 'alice', colour: 'red' });
  for (let each = 0; each < 3; each++) await site.signIn('no JSON');
  const url = endpointIn(lines);
  await vi.waitFor(async () => {
    expect(await samplesOf(url)).toMatchObject({
      stockmesh_logins_committed_total: 1,
      'stockmesh_logins_refused_total{reason="message.invalid_json"}': 3,
      stockmesh_login_unknown_fields_total: 1,
      stockmesh_login_batches_total: 1,
      'stockmesh_login_requests_total{outcome="queued"}': 2,
      stockmesh_logins_held: 0,
      stockmesh_login_commit_duration_seconds_count: 1,
      stockmesh_broker_up: 1,
    });
  }, soon);
  expect(faultsOf(await (await fetch(`${url}/metrics`)).text())).toEqual([]);
  expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ok', database: true, broker: true, missing: [] });
});

test('the metrics end with the service', async () => {
  const site = await startSite();
  const { lines, stop } = await startInstance(site, fixture.database, { config });
  await stop();
  await expect(fetch(`${endpointIn(lines)}/metrics`)).rejects.toThrow();
});
