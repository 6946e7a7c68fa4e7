/** Which configuration a command or service has that joins a mesh. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type GlobalOptions, loadFor, loadJoining } from '../../services/cli/session.ts';
import { type Runtime, writeRuntime } from '../../services/platform/connections.ts';

let data: string;
beforeEach(() => {
  for (const name of ['STOCKMESH_DATA', 'STOCKMESH_ENV', 'STOCKMESH_CONFIG', 'STOCKMESH_DATABASE_URL', 'STOCKMESH_MQTT_URL'])
    vi.stubEnv(name, undefined);
  data = mkdtempSync(join(tmpdir(), 'stockmesh-session-'));
  return () => rmSync(data, { recursive: true });
});
afterEach(() => vi.unstubAllEnvs());

function file(name: string, text: string): string {
  const path = join(data, name);
  writeFileSync(path, text);
  return path;
}
const embedded = { database: { socket: '/s', port: 3306, name: 'stockmesh' }, broker: { host: '127.0.0.1', port: 1883 } };
/** A mesh of the demo environment with one file and one option. */
function running(runtime: Partial<Runtime> = {}): void {
  writeRuntime(data, {
    pid: process.pid,
    ...embedded,
    settings: {
      environment: 'demo',
      files: [file('site.yaml', 'job_processor: {worker: {max_concurrent_jobs: 7, poll_interval: 3}}\n')],
      set: ['worker.poll_interval=4'],
    },
    ...runtime,
  });
}
const joined = (options: GlobalOptions = {}) => {
  const { loaded } = loadJoining({ data, ...options });
  const { max_concurrent_jobs: jobs, poll_interval: poll } = loaded.config.worker;
  return { environment: loaded.environment, jobs, poll };
};

test('where no mesh runs the options stand alone', () => {
  expect(joined().environment).toBe('development');
});

test('a command has environment, files and options of the mesh that runs over its data folder', () => {
  running();
  expect(joined()).toEqual({ environment: 'demo', jobs: 7, poll: 4 });
});

test('what is given with the command is stronger', () => {
  running();
  const own = file('own.yaml', 'job_processor: {worker: {max_concurrent_jobs: 8}}\n');
  expect(joined({ env: 'development', config: [own], set: ['worker.poll_interval=5'] })).toEqual({
    environment: 'development',
    jobs: 8,
    poll: 5,
  });
});

test('an option says whose it is', () => {
  running();
  expect(loadJoining({ data }).loaded.origins.get('worker.poll_interval')).toBe(
    'option --set worker.poll_interval of the running stockmesh',
  );
});

test('a command that names another database and broker has nothing of the mesh', () => {
  running();
  const set = ['database.url=mysql://u:p@h/d', 'queue.mqtt.url=mqtt://h'];
  expect(joined({ set }).environment).toBe('development');
});

test('a mesh on a configured database and broker is joined by a command in the same surroundings', () => {
  vi.stubEnv('STOCKMESH_DATABASE_URL', 'mysql://u:p@h/d');
  vi.stubEnv('STOCKMESH_MQTT_URL', 'mqtt://h');
  running({ database: null, broker: null });
  expect(joined()).toMatchObject({ environment: 'demo', jobs: 7 });
});

test('a mesh of an earlier version, which said nothing of its settings, is joined without them', () => {
  running({ settings: undefined });
  expect(joined().environment).toBe('development');
});

test('an option of its own that is not given leaves --set in force', () => {
  const own = (value: number | undefined) => ({ 'gateway.port': { value, option: '--http-port' } });
  const portOf = (value: number | undefined) => loadFor({ data, set: ['gateway.port=18787'] }, own(value)).loaded.config.gateway.port;
  expect([portOf(undefined), portOf(18_788)]).toEqual([18_787, 18_788]);
});
