import { existsSync, mkdtempSync, readdirSync, statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import type { DatabasePasswords } from '../../sql/accounts.ts';
import { startDatabase } from '../../sql/embedded.ts';
import { findServer, stopServer } from '../../sql/running-server.ts';
import { readTemplate } from './schema/template.ts';

/** How the tests reach the database server that was started for this run. */
export interface TestServer {
  readonly socket: string;
  readonly port: number;
  readonly passwords: DatabasePasswords;
}

declare module 'vitest' {
  interface ProvidedContext {
    databaseServer: TestServer;
    /** Statements that make the schema of this build: see schema/template.ts. */
    schemaTemplate: string;
  }
}

const prefix = 'stockmesh-test-';

/** In memory where there is room for it (a container has 64 MiB there): creating and dropping a schema takes a third of the time. */
const MEMORY = '/dev/shm';
/** A run fills a fifth of it. */
const ROOM_BYTES = 2 ** 30;

function hasRoom(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > ROOM_BYTES;
}

/** A run that was killed leaves its server and folder; the folder's name says whose they are. */
async function removeLeftovers(base: string): Promise<void> {
  if (!existsSync(base)) return;
  for (const name of readdirSync(base).filter((entry) => entry.startsWith(prefix))) {
    const owner = Number(name.slice(prefix.length).split('-')[0]);
    if (isAlive(owner)) continue;
    const folder = join(base, name);
    const server = findServer(join(folder, 'database'));
    if (server !== undefined) await stopServer(server.pid, join(folder, 'database'));
    await rm(folder, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

/** One private database server for the whole run, thrown away at its end. Without `mariadbd` the run fails: `npm test` installs it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  for (const place of [MEMORY, tmpdir()]) await removeLeftovers(place);
  // Asked after that: the leftovers of killed runs would keep all later ones out of it.
  const folder = mkdtempSync(join(hasRoom(MEMORY) ? MEMORY : tmpdir(), `${prefix}${process.pid}-`));
  const passwords: DatabasePasswords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };
  const database = await startDatabase({
    dataDir: join(folder, 'database'),
    passwords,
    log: pino({ level: 'warn' }),
    durable: false,
    // Another server than the first one that is installed, such as MySQL beside MariaDB.
    ...(process.env.STOCKMESH_TEST_SERVER ? { binary: process.env.STOCKMESH_TEST_SERVER } : {}),
    settings: { 'innodb-buffer-pool-size': '128M', 'loose-innodb-log-file-size': '64M', 'max-connections': 400 },
  }).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw (error as { code?: string }).code === 'database.not_installed'
      ? new Error(
          'the tests need a real database server (mariadbd), which is not installed: run them once with `npm test`, which installs it',
          { cause: error },
        )
      : error;
  });
  project.provide('databaseServer', { socket: database.socket, port: database.port, passwords });
  project.provide('schemaTemplate', await readTemplate({ socketPath: database.socket, passwords }));
  return async () => {
    await database.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
