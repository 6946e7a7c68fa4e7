/** A login that the broker has taken is committed, also when the service is stopped and started in between. */
import { expect, test, vi } from 'vitest';
import { freePort } from '../../services/platform/machine/ports.ts';
import { countRows, hold, ledgerFixture } from '../logins/ledger-fixture.ts';
import { type Site, startInstance, startSite } from './service-fixture.ts';

const fixture = ledgerFixture();
const soon = { timeout: 20_000 };
const usersOf = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}${index}`);

/** Publishes logins and waits until the broker has them. Whether it acknowledges them now or after the commit is its own choice. */
async function publish(site: Site, users: readonly string[]): Promise<unknown> {
  const before = site.broker.stats().messagesIn;
  const acknowledged = Promise.all(users.map((userId) => site.signIn({ userId, at: new Date().toISOString() })));
  await vi.waitFor(() => expect(site.broker.stats().messagesIn).toBeGreaterThanOrEqual(before + users.length), soon);
  return acknowledged;
}

test('logins that come while the service is stopped are admitted by its next start', async () => {
  const users = usersOf('away', 20);
  await hold(fixture.db, Object.fromEntries(users.map((user) => [user, ['AAPL']])));
  const site = await startSite();
  await (await startInstance(site, fixture.database, { persistent: true })).stop();
  const acknowledged = publish(site, users);
  await vi.waitFor(() => expect(site.broker.stats().messagesIn).toBeGreaterThanOrEqual(20), soon);
  await startInstance(site, fixture.database, { persistent: true });
  await vi.waitFor(async () => expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(20), soon);
  await acknowledged;
});

test('logins that come while the service stops are admitted by its next start', async () => {
  const users = usersOf('during', 60);
  await hold(fixture.db, Object.fromEntries(users.map((user) => [user, ['AAPL']])));
  const site = await startSite();
  const leaving = await startInstance(site, fixture.database, { persistent: true });
  const acknowledged = Promise.all([
    publish(site, users.slice(0, 30)),
    leaving.stop().then(() => publish(site, users.slice(45))),
    publish(site, users.slice(30, 45)),
  ]);
  await vi.waitFor(() => expect(site.broker.stats().messagesIn).toBeGreaterThanOrEqual(60), soon);
  await startInstance(site, fixture.database, { persistent: true });
  await vi.waitFor(async () => expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(60), soon);
  await acknowledged;
});

test('a service that stops while the database is away does not wait for it, and leaves its logins to the broker', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const site = await startSite();
  const away = { options: { ...fixture.database.options, host: '127.0.0.1', port: await freePort(), socketPath: undefined } };
  const leaving = await startInstance(site, away, { persistent: true });
  const acknowledged = publish(site, ['alice']);
  await vi.waitFor(() => expect(leaving.bus.report().counters.handlerFailed).toBeGreaterThan(0), soon);
  await leaving.stop();
  await startInstance(site, fixture.database, { persistent: true });
  await vi.waitFor(async () => expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(1), soon);
  await acknowledged;
});
