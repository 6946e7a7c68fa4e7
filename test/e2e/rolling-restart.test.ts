/** An upgrade of a mesh that serves: two of each service, the schema changed under them, and of each service one process after the other ended and started again, while users sign in. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { storeKey } from '../../services/gateway/auth/keys.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { brokerAddress } from '../../services/platform/connections.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { readSecrets } from '../../services/platform/machine/datafolder.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { tell } from '../../services/platform/outbox.ts';
import { countAnswers } from '../faults/logins/answers.ts';
import { httpHook, mqttHook, startLoad, type Transport } from '../faults/logins/load.ts';
import { addUsers, countJobs, countRound, untilCommitted } from '../faults/logins/tally.ts';
import { startTestMesh, type TestMesh } from '../faults/mesh.ts';
import { endProcess } from '../faults/processes.ts';

const SERVICES = ['portfolio-priority', 'worker', 'scheduler', 'gateway', 'notifier'] as const;
type Service = (typeof SERVICES)[number];
const USERS = 'rolling';
const PER_SECOND = 20;
/** More than are sent. */
const MOST = 5_000;
const SETTINGS = ['stock_jobs.data_fetch.sources=simulated', 'stock_jobs.data_fetch.history_days=60', 'worker.poll_interval=1'];

let mesh: TestMesh;
const heard: string[] = [];
const room = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  // Alerts of the mesh itself may come as well.
  heard.push(...(/\bevent \d+ before [\w-]+ \d\./.exec(JSON.parse(Buffer.concat(parts).toString()).text) ?? []));
  response.writeHead(204).end();
});
beforeAll(async () => {
  mesh = await startTestMesh();
  room.listen(0, '127.0.0.1');
  await once(room, 'listening');
});
afterAll(async () => {
  room.closeAllConnections();
  room.close();
  await mesh.stop();
});

/** What the migrations of a next version may do while this one serves. */
async function addColumns(): Promise<void> {
  const root = openDatabase(mesh.asRoot());
  try {
    for (const table of ['jobs', 'running', 'user_portfolio_priority', 'logins', 'instances', 'notify_messages'])
      await root.run(`ALTER TABLE ${table} ADD COLUMN of_the_next_version INT NULL`);
  } finally {
    await root.close();
  }
}

/** Sends one login by the first way, the next by the second. */
function inTurn(...ways: readonly Transport[]): Transport {
  let nth = 0;
  return {
    send: (login) => ways[nth++ % ways.length]?.send(login),
    close() {
      for (const way of ways) way.close();
    },
  };
}

/** Events that somebody is to be told of: their texts. */
async function tellOf(before: string): Promise<string[]> {
  const texts = Array.from({ length: 10 }, (_, index) => `event ${index} before ${before}.`);
  await mesh.db.transaction(async (tx) =>
    tell(
      tx,
      texts.map((text) => ({
        ...({ name: 'alert.raised', severity: 'warning', subject: `alert:${text}`, at: new Date() } as const),
        details: { alert: 'no_worker', text },
      })),
    ),
  );
  return texts;
}

test('nothing is lost, doubled or told twice', { timeout: 180_000 }, async () => {
  const secrets = readSecrets(mesh.dataFolder);
  await storeKey(mesh.db, secrets.gateway.operator, { name: 'operator', scopes: ['read', 'jobs', 'admin'] }, new Date());
  await addUsers(mesh.db, USERS, MOST);
  const routes = join(mesh.dataFolder, '..', 'routes.yaml');
  const url = `http://127.0.0.1:${(room.address() as AddressInfo).port}/`;
  writeFileSync(
    routes,
    `job_processor:\n  notify:\n    poll_interval: 0.2\n    routes:\n      - { name: chat, on: [alert.raised], to: { webhook: { url: "${url}", format: json } } }\n`,
  );
  const ports = [await freePort(), await freePort()] as const;
  const start = (service: Service, port: number): Promise<ChildProcess> =>
    mesh.service(service, [`gateway.port=${port}`, ...SETTINGS], [routes]);
  const running = await Promise.all(
    SERVICES.map(async (service) => ({ service, pair: await Promise.all(ports.map((port) => start(service, port))) })),
  );

  const port = brokerAddress(loadConfig({ env: {}, environment: 'demo' }).config, mesh.dataFolder, 'service').port as number;
  const answers = countAnswers({ port, password: secrets.mqtt.monitor });
  const load = startLoad({
    users: USERS,
    perSecond: PER_SECOND,
    transport: inTurn(
      mqttHook({ port, password: secrets.mqtt.hook, qos: 1 }),
      httpHook({ port: ports[0], others: [ports[1]], key: secrets.gateway.operator }),
    ),
  });
  onTestFinished(() => {
    load.close();
    answers.close();
  });

  await load.more(PER_SECOND);
  await addColumns();
  const told: string[] = [];
  /** The second of a service ends when the first one's successor serves. */
  const restarted = running.map(async ({ service, pair }) => {
    for (const [nth, process] of pair.entries()) {
      told.push(...(await tellOf(`${service} ${nth}`)));
      await endProcess(process, 'SIGTERM');
      expect(process.exitCode, service).toBe(0);
      await start(service, ports[nth]!);
    }
  });
  await Promise.all(restarted);
  await load.more(PER_SECOND);
  load.stop();
  await load.finish(30_000);

  const { logins } = load;
  const committed = await untilCommitted(mesh.db, USERS, logins, 15_000);
  expect(countRound(logins, committed)).toMatchObject({ acknowledged: logins.length, committed: logins.length, lost: 0 });
  await expect.poll(() => answers.moments(logins).filter(({ length }) => length === 0), { timeout: 30_000 }).toEqual([]);
  /** Of each login that was answered more than once: milliseconds from its commit to each answer. */
  const again = answers.moments(logins).flatMap((moments, nth) => {
    const from = committed.get(logins[nth]?.userId ?? '') as number;
    return moments.length > 1 ? [moments.map((moment) => moment - from)] : [];
  });
  expect(again).toEqual([]);
  const jobs = await countJobs(mesh.db, USERS, 60_000);
  expect(jobs).toMatchObject({ jobsTwice: 0, jobsUndone: 0 });
  expect(jobs.jobs).toBeGreaterThanOrEqual(logins.length / 10);
  await expect.poll(() => heard.toSorted(), { timeout: 30_000 }).toEqual(told.sort());
});
