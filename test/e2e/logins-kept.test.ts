/** Stops and starts of the whole mesh while a hook signs users in and counts the acknowledgements. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../services/platform/config/load.ts';
import { databaseOptions } from '../../services/platform/connections.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { findServer } from '../../sql/running-server.ts';
import { type Command, stockmesh } from './command.ts';

let folder: string;
let data: string;
let ports: string[];
let up: Command;
const startMesh = async (): Promise<void> => {
  up = stockmesh(['--data', data, '--env', 'demo', 'up', ...ports, '--source', 'simulated']);
  await up.until(/Ctrl-C stops everything/);
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-e2e-'));
  data = join(folder, 'data');
  ports = ['--mqtt-port', String(await freePort()), '--http-port', String(await freePort())];
  await startMesh();
});
afterAll(async () => {
  up.child.kill('SIGKILL');
  await up.exited;
  const left = findServer(join(data, 'database'));
  if (left !== undefined) process.kill(left.pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Signs new users in, one after the other every 10 ms, from before the stop until after the start. The users whose login was acknowledged. */
async function loginsDuring(name: string, work: () => Promise<void>): Promise<string[]> {
  const password = readFileSync(join(data, 'mqtt-hook.password'), 'utf8').trim();
  const url = `mqtt://127.0.0.1:${ports[1]}`;
  const hook = mqtt.connect(url, { username: 'hook', password, reconnectPeriod: 50, queueQoSZero: false });
  hook.on('error', () => undefined);
  const acknowledged: string[] = [];
  let over = false;
  const publishing = (async () => {
    for (let number = 1; !over; number++) {
      const userId = `${name}-${number}`;
      if (hook.connected)
        hook.publish('events/login', JSON.stringify({ userId }), { qos: 1 }, (error) => {
          if (!error) acknowledged.push(userId);
        });
      await delay(10);
    }
  })();
  await expect.poll(() => acknowledged.length).toBeGreaterThan(20);
  await work();
  const before = acknowledged.length;
  await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(before + 20);
  over = true;
  await publishing;
  await hook.endAsync(true);
  return acknowledged;
}

async function lost(users: readonly string[]): Promise<string[]> {
  const { config } = loadConfig({ env: {}, environment: 'demo' });
  const db = openDatabase({ ...databaseOptions(config, data, 'service'), maxConnections: 2 });
  try {
    const rows = await db.rows<{ user_id: string }>('SELECT user_id FROM logins WHERE user_id IN (?)', [users]);
    const kept = new Set(rows.map(({ user_id }) => user_id));
    return users.filter((user) => !kept.has(user));
  } finally {
    await db.close();
  }
}

test.each(['SIGTERM', 'SIGKILL'] as const)('no acknowledged login is lost over a %s of the mesh and its next start', async (signal) => {
  const users = await loginsDuring(signal.toLowerCase(), async () => {
    up.child.kill(signal);
    await up.exited;
    await startMesh();
  });
  expect(await lost(users)).toEqual([]);
});
