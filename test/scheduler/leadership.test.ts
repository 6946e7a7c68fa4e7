import { afterEach, expect, test, vi } from 'vitest';
import type { Clock } from '../../services/platform/clock.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { competeForLead, type Leadership } from '../../services/scheduler/leadership.ts';
import { watchOutages } from '../../services/scheduler/maintenance.ts';
import { silent } from '../broker/peers.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();
const waitFor = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 5 });

const competing: Leadership[] = [];
afterEach(() => Promise.all(competing.splice(0).map((one) => one.stop())));

/** Competes with a lease of 0.3 s on the clock that only the test moves; `events` says when its duties were started and stopped. */
function compete(holder: string, db: Database = mesh.db, seconds = 0.3, clock: Clock = mesh.clock) {
  const events: string[] = [];
  const leadership = competeForLead({
    db,
    clock,
    log: silent,
    holder,
    seconds,
    lead() {
      events.push('leads');
      return { stop: async () => void events.push('stopped') };
    },
  });
  competing.push(leadership);
  return { leadership, events };
}

test('who loses the lease to another stops its duties', async () => {
  const { leadership, events } = compete('a');
  await waitFor(() => expect(leadership.leads).toBe(true));
  await mesh.db.run("UPDATE leases SET holder = 'b', until = ?", [new Date(mesh.clock.now().epochMilliseconds + 60_000)]);
  await waitFor(() => expect(events).toEqual(['leads', 'stopped']));
  expect(leadership.leads).toBe(false);
});

test('who cannot renew leads on until the lease has run out, and again when the database is back', async () => {
  let away = false;
  let asked = 0;
  const db: Database = {
    ...mesh.db,
    run: async (sql, params) => {
      asked++;
      if (away) throw new TransientError('database.unavailable', 'the database is away');
      return await mesh.db.run(sql, params);
    },
  };
  const { leadership, events } = compete('a', db);
  await waitFor(() => expect(leadership.leads).toBe(true));
  away = true;
  const before = asked;
  await waitFor(() => expect(asked).toBeGreaterThan(before + 2));
  expect(events).toEqual(['leads']);
  mesh.clock.advance({ milliseconds: 300 });
  await waitFor(() => expect(events).toEqual(['leads', 'stopped']));
  away = false;
  await waitFor(() => expect(events).toEqual(['leads', 'stopped', 'leads']));
});

test('a leader that is known to be gone is followed before its lease ends', async () => {
  await mesh.db.run("INSERT INTO leases (name, holder, until) VALUES ('scheduler', 'gone', ?)", [
    new Date(mesh.clock.now().epochMilliseconds + 600_000),
  ]);
  const { leadership } = compete('b', mesh.db, 600);
  await leadership.ended('gone');
  await waitFor(() => expect(leadership.leads).toBe(true));
});

test('after a jump of the time a lease that has run out by it is left to its holder, but not that of one who is gone', async () => {
  const lastJump = { byMs: 600_000, agoMs: 0 };
  const clock = { now: () => mesh.clock.now(), lastJump };
  await mesh.db.run("INSERT INTO leases (name, holder, until) VALUES ('scheduler', 'leader', ?)", [
    new Date(mesh.clock.now().epochMilliseconds - 590_000),
  ]);
  let asked = 0;
  const db: Database = {
    ...mesh.db,
    run: async (sql, params) => {
      asked++;
      return await mesh.db.run(sql, params);
    },
  };
  const { leadership } = compete('standby', db, 0.3, clock);
  await waitFor(() => expect(asked).toBeGreaterThan(3));
  expect(leadership.leads).toBe(false);
  await leadership.ended('leader');
  await waitFor(() => expect(leadership.leads).toBe(true));
});

test('when the time has settled a lease that has run out is taken', async () => {
  const lastJump = { byMs: 600_000, agoMs: 0 };
  const clock = { now: () => mesh.clock.now(), lastJump };
  await mesh.db.run("INSERT INTO leases (name, holder, until) VALUES ('scheduler', 'leader', ?)", [
    new Date(mesh.clock.now().epochMilliseconds),
  ]);
  const { leadership } = compete('standby', mesh.db, 0.3, clock);
  lastJump.agoMs = 300;
  await waitFor(() => expect(leadership.leads).toBe(true));
});

test('the end of one that does not lead, or of its own earlier life, changes nothing', async () => {
  const first = compete('a');
  await waitFor(() => expect(first.leadership.leads).toBe(true));
  await first.leadership.ended('a');
  await first.leadership.ended('b');
  expect(await mesh.db.rows('SELECT holder FROM leases')).toEqual([{ holder: 'a' }]);
});

test('who stops, stops its duties before the lease is free', async () => {
  const { leadership, events } = compete('a');
  await waitFor(() => expect(leadership.leads).toBe(true));
  await leadership.stop();
  expect(events).toEqual(['leads', 'stopped']);
  expect(await mesh.db.rows('SELECT holder FROM leases')).toEqual([]);
});

test('who leads after an outage that it has seen as a standby gives the workers time to renew their leases', async () => {
  await mesh.db.run("INSERT INTO leases (name, holder, until) VALUES ('scheduler', 'a', ?)", [
    new Date(mesh.clock.now().epochMilliseconds + 300),
  ]);
  let away = false;
  const db: Database = {
    ...mesh.db,
    run: async (sql, params) => {
      if (away) throw new TransientError('database.unavailable', 'the database is away');
      return await mesh.db.run(sql, params);
    },
  };
  const outages = watchOutages(0.3);
  const looks: boolean[] = [];
  const saw = (written: boolean): void => {
    looks.push(written);
    outages.saw(written);
  };
  const mayJudge: boolean[] = [];
  const leadership = competeForLead({
    ...{ db, clock: mesh.clock, log: silent, holder: 'b', seconds: 0.3, onLook: saw },
    lead() {
      mayJudge.push(outages.mayJudge());
      return { stop: async () => {} };
    },
  });
  competing.push(leadership);
  await waitFor(() => expect(looks).toContain(true));
  away = true;
  // Longer than a third of a lease: ten looks, of which each begins 30 ms after the one before.
  await waitFor(() => expect(looks.filter((written) => !written).length).toBeGreaterThanOrEqual(10));
  mesh.clock.advance({ seconds: 31 });
  away = false;
  await waitFor(() => expect(mayJudge).toEqual([false]));
});
