/** The report of a user is ready: a real handler and its commit, a real notifier, and a real mail server. */
import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test, vi } from 'vitest';
import type { JobContext } from '../../../services/job-types/handler.ts';
import { picksHandler } from '../../../services/job-types/picks/handler.ts';
import { idFromBytes } from '../../../services/ledger/id.ts';
import { type NewReport, readReport } from '../../../services/picks/store/reports.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { silent } from '../../broker/peers.ts';
import { notifierMesh } from '../../notifier/notifier-mesh.ts';
import { AT, inventedMembers } from '../../picks/invented-universe.ts';
import { storeUniverse } from '../../picks/stored-universe.ts';

const mesh = await notifierMesh();
const MEMBERS = inventedMembers(60);
await storeUniverse(mesh.db, MEMBERS);
const { picks, model } = loadConfig({ environment: 'development', files: [], env: {} }).config;
const route = { name: 'requester', on: ['picks.ready'], to: { requester: true } };
const WEEK = '2026-11-23';
const soon = { timeout: 20_000, interval: 20 };
beforeEach(async () => {
  await mesh.db.run('DELETE FROM weekly_reports');
});

/** One attempt of a job. `commit`: what happens at its end. */
async function attempt(
  user: string,
  { routes = [route], reason = 'manual_trigger', dies = false }: { routes?: object[]; reason?: string; dies?: boolean } = {},
): Promise<void> {
  const handler = picksHandler({ sql: mesh.db, db: mesh.db });
  const invented = { ...picks.universe, lists: [{ name: 'invented', symbols: MEMBERS.map(({ symbol }) => symbol) }] };
  const context = {
    ...{ clock: new ManualClock(AT.toString()), log: silent, signal: new AbortController().signal },
    config: { ...mesh.config(routes), model, picks: { ...picks, universe: invented } },
    job: { id: idFromBytes(randomBytes(16)), attempt: 1, maxAttempts: 3 },
  } as unknown as JobContext<NewReport>;
  const { rows } = await handler.run({ user, week_of: WEEK, reason }, context);
  const commit = mesh.db.transaction(async (tx) => {
    await handler.store(tx, rows);
    if (dies) {
      // What was written so far is sent before the connection is given up.
      await tx.rows('SELECT 1');
      throw new Error('the process dies');
    }
  });
  if (dies) await expect(commit).rejects.toThrow('the process dies');
  else await commit;
}

const events = () => mesh.db.rows<{ name: string }>('SELECT name FROM notify_events');

test('its user is told once, with the picks and the way to read them, of what was committed', async () => {
  const user = 'reader@example.com';
  await attempt(user, { dies: true });
  expect(await events()).toEqual([]);
  await attempt(user);
  // The run of the week finds the report, and another notifier finds it told.
  await attempt(user, { reason: 'new_week' });
  const first = await mesh.start([route]);
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'sent', recipient: user }]), soon);
  await first.drain();
  await mesh.start([route]);
  await mesh.commit({ name: 'picks.ready', severity: 'info', subject: 'picks:next@example.com', details: { user: 'next@example.com' } });
  await vi.waitFor(() => expect(mesh.mail.received.map(({ to }) => to)).toContain('next@example.com'), soon);
  const mails = mesh.mail.received.filter(({ to }) => to === user);
  expect(mails).toHaveLength(1);
  expect(mails[0]?.mail.subject).toBe(`[stockmesh] Picks of ${user} for the week of ${WEEK} are ready`);
  const tickers = (await readReport(mesh.db, user))?.stock_picks.map(({ ticker }) => ticker).join(', ');
  const text = mails[0]?.mail.text ?? '';
  expect(text).toContain(`${tickers}, by prices of `);
  expect(text).toContain('This is not investment advice.');
  expect(text).toContain(`npx stockmesh picks show ${user} --week ${WEEK}`);
});

test('a second version is told of as one', async () => {
  await mesh.start([route]);
  await attempt('two@example.com');
  await attempt('two@example.com');
  await vi.waitFor(() => expect(mesh.mail.received).toHaveLength(2), soon);
  expect(mesh.mail.received[1]?.mail.subject).toMatch(/are ready \(version 2\)$/);
});

test('where no route wants it nothing is written: nobody would ever take it away', async () => {
  await attempt('quiet@example.com', { routes: [{ ...route, on: ['history.ended'] }] });
  expect((await readReport(mesh.db, 'quiet@example.com'))?.version).toBe(1);
  expect(await events()).toEqual([]);
});
