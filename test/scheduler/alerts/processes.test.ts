/** Alerts about processes: a worker that is killed, one whose machine has a wrong clock, and one whose jobs fail. Each as a process of its own, and read in the mail of an operator. */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { wrongClock } from '../../faults/clocks/processes.ts';
import { startTestMesh, type TestMesh } from '../../faults/mesh.ts';
import { endProcess, MAIN, startProcess } from '../../faults/processes.ts';
import { type MailServer, startMailServer } from '../../notifier/mail-server.ts';
import { clearedMail, raisedMail } from './mails.ts';

let mesh: TestMesh;
let mail: MailServer;
let file: string;
const workers = new Set<ChildProcess>();
beforeAll(async () => {
  [mesh, mail] = await Promise.all([startTestMesh(), startMailServer()]);
  file = join(mesh.dataFolder, '..', 'alerts.yaml');
  writeFileSync(
    file,
    `job_processor:
  worker: { heartbeat_interval: 3, poll_interval: 0.5 }
  scheduler: { stats_interval: 1 }
  stock_jobs: { data_fetch: { sources: [simulated], history_days: 60 } }
  monitoring: { thresholds: { max_type_wait: 2, min_worker_efficiency: 0.7 } }
  notify:
    poll_interval: 0.2
    email: { from: mesh@example.com, smtp_tls: none, smtp_host: 127.0.0.1, smtp_port: ${mail.port} }
    routes:
      - { name: operators, on: [alert.raised, alert.cleared], to: { email: [ops@example.com] } }
`,
  );
  await Promise.all([mesh.service('scheduler', [], [file]), mesh.service('notifier', [], [file])]);
});
afterAll(async () => {
  await mesh.stop();
  await mail.stop();
});
beforeEach(() => {
  mail.received.length = 0;
});
afterEach(async () => {
  await Promise.all([...workers].map((worker) => endProcess(worker, 'SIGKILL')));
  workers.clear();
});

const raised = (name: string): Promise<string> => raisedMail(mail, name);
const cleared = (name: string): Promise<string> => clearedMail(mail, name);

/** A worker of this name for these types of jobs, by default all; with a wrong clock of so many seconds. */
async function startWorker(instance: string, { types = '', shift = 0 } = {}): Promise<ChildProcess> {
  const args = ['service', 'worker', '--instance', instance, '--data', mesh.dataFolder, '--env', 'demo', '--config', file];
  const settings = ['logging.level=silent', ...(types === '' ? [] : [`worker.supported_job_types=${types}`])].flatMap((one) => [
    '--set',
    one,
  ]);
  const worker = await startProcess(MAIN, [...args, ...settings], shift === 0 ? {} : wrongClock({ shift }));
  workers.add(worker);
  return worker;
}

async function ask(...symbols: string[]): Promise<void> {
  const requests = symbols.map(
    (symbol): JobRequest => ({
      ...{ type: 'fetch', payload: { symbol }, symbol, level: 1, score: 0.5 },
      ...{ why: { text: 'a test' }, triggeredBy: 'test', whenFull: 'refuse' },
    }),
  );
  await enqueue(mesh.ledger, requests);
}

test('no_worker: the last worker is killed, and one starts again', { timeout: 180_000 }, async () => {
  const only = await startWorker('only');
  // Raised before, while there was none yet.
  await expect
    .poll(() => mesh.db.rows("SELECT 1 FROM alerts WHERE name = 'no_worker' AND state = 'raised'"), { timeout: 60_000 })
    .toEqual([]);
  await expect.poll(() => mesh.db.rows('SELECT 1 FROM notify_messages WHERE state <> ?', ['sent']), { timeout: 60_000 }).toEqual([]);
  mail.received.length = 0;
  await endProcess(only, 'SIGKILL');
  expect(await raised('no_worker')).toContain('0 workers are online');
  await startWorker('only');
  expect(await cleared('no_worker')).toContain('1 workers are online');
});

test('no_worker_for_type: the one worker for a type of jobs is killed, and starts again', { timeout: 180_000 }, async () => {
  const fetching = await startWorker('fetching', { types: 'fetch' });
  await startWorker('others', { types: 'analysis' });
  await ask('AAPL');
  await expect.poll(() => mesh.db.rows("SELECT 1 FROM job_states WHERE state = 'completed'"), { timeout: 30_000 }).toHaveLength(1);
  await endProcess(fetching, 'SIGKILL');
  await ask('MSFT');
  expect(await raised('no_worker_for_type')).toContain('so no worker runs them: fetch');
  await startWorker('fetching', { types: 'fetch' });
  await cleared('no_worker_for_type');
  expect(await mesh.db.rows("SELECT 1 FROM job_states WHERE state = 'completed'")).toHaveLength(2);
});

test('clock_offset: a machine whose clock is a minute ahead, and set right', { timeout: 180_000 }, async () => {
  await startWorker('right');
  const wrong = await startWorker('wrong', { shift: 60 });
  const text = await raised('clock_offset');
  // Its measure is good to the way of a statement, on a busy machine a second.
  expect(text).toMatch(/1 of \d+ instances have a clock .*set the clocks of their machines right \(NTP\): wrong \+(59|60|61)\.\d s/s);
  expect(text).not.toContain('right +');
  await endProcess(wrong, 'SIGTERM');
  await startWorker('wrong');
  expect(await cleared('clock_offset')).toContain('0 of ');
});

// The simulated source knows no symbol that begins with XX.
test('min_worker_efficiency: a worker fails all jobs of a minute, and then completes many', { timeout: 180_000 }, async () => {
  await startWorker('failing');
  await ask(...Array.from({ length: 40 }, (_, index) => `XX${index}`));
  expect(await raised('min_worker_efficiency')).toMatch(
    /\d+ of \d+ jobs that finished within a minute failed; at least 70 % must complete/,
  );
  await ask(...Array.from({ length: 120 }, (_, index) => `OK${index}`));
  await cleared('min_worker_efficiency');
});
