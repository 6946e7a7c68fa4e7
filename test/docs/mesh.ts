/** A mesh as a reader of the documents starts one, with made-up prices, and what reaches it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../services/platform/config/load.ts';
import { databaseOptions } from '../../services/platform/connections.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { stockmesh } from '../e2e/command.ts';

export interface DocumentedMesh {
  /** A folder for the test's own files. */
  folder: string;
  data: string;
  mqttPort: number;
  url: string;
  /** With the account that may only read. */
  db: Database;
  /** The text of a file in the data folder, without its line end. */
  secret(file: string): string;
  stop(): Promise<void>;
}

export async function startDocumentedMesh(): Promise<DocumentedMesh> {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-docs-'));
  const data = join(folder, 'data');
  const [mqttPort, httpPort] = [await freePort(), await freePort()];
  const set = ['--set', 'ranking.chains.sources=simulated', '--set', 'worker.poll_interval=0.2'];
  const ports = ['--mqtt-port', String(mqttPort), '--http-port', String(httpPort)];
  const up = stockmesh(['--data', data, '--env', 'demo', ...set, 'up', ...ports, '--source', 'simulated']);
  const stopUp = async (signal: NodeJS.Signals) => {
    up.child.kill(signal);
    await up.exited;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await up.until(/Ctrl-C stops everything/);
  } catch (error) {
    await stopUp('SIGKILL');
    throw error;
  }
  const db = openDatabase({ ...databaseOptions(loadConfig({ environment: 'demo' }).config, data, 'read'), maxConnections: 2 });
  return {
    folder,
    data,
    mqttPort,
    url: `http://127.0.0.1:${httpPort}`,
    db,
    secret: (file) => readFileSync(join(data, file), 'utf8').trim(),
    async stop() {
      await db.close();
      await stopUp('SIGTERM');
    },
  };
}
