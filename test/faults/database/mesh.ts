/** A mesh whose services reach the database by two addresses, each a proxy that a case may disturb. */
import type { ChildProcess } from 'node:child_process';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';
import { startTestMesh, type TestMesh } from '../mesh.ts';

export interface DatabaseMesh {
  readonly mesh: TestMesh;
  /** The services use the first as long as it works. */
  readonly first: DatabaseProxy;
  readonly second: DatabaseProxy;
  /** A service that reaches the database through the proxies. */
  start(name: Parameters<TestMesh['service']>[0], set?: readonly string[]): Promise<ChildProcess>;
  stop(): Promise<void>;
}

/** Two workers and a scheduler run. `set`: configuration keys of all services. */
export async function startDatabaseMesh(set: readonly string[] = []): Promise<DatabaseMesh> {
  const mesh = await startTestMesh();
  const server = { port: mesh.databasePort };
  const [first, second] = await Promise.all([startDatabaseProxy(server), startDatabaseProxy(server)]);
  const { user, password, database } = mesh.reach;
  const url = `mysql://${user}:${encodeURIComponent(password)}@127.0.0.1:${first.port},127.0.0.1:${second.port}/${database}`;
  const start: DatabaseMesh['start'] = (name, own = []) =>
    mesh.service(name, [`database.url=${url}`, 'stock_jobs.data_fetch.sources=simulated', ...set, ...own]);
  await Promise.all([start('scheduler'), start('worker'), start('worker')]);
  return {
    ...{ mesh, first, second, start },
    async stop() {
      await mesh.stop();
      await Promise.all([first.close(), second.close()]);
    },
  };
}
