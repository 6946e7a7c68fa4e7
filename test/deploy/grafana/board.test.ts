/** The board and the alert rules against a running mesh: each metric and label that they name is exported, and a Prometheus that asks the mesh answers their queries. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump, load } from 'js-yaml';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { databaseOptions } from '../../../services/platform/connections.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { bucketsOf, noBuckets } from '../../../services/platform/monitoring/buckets.ts';
import { MINUTE_S, writeStats } from '../../../services/platform/monitoring/mesh-stats.ts';
import { ROOT } from '../../docs/markdown.ts';
import { type Command, stockmesh } from '../../e2e/command.ts';
import { metricsPort } from '../../support/samples.ts';
import { faultsOfCommand } from '../commands.ts';
import { namedIn, withInterval } from './promql.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string }[];
}
interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: Record<string, string>;
}
interface PrometheusConfig {
  global: Record<string, string>;
  rule_files: string[];
  scrape_configs: { job_name: string; scrape_interval?: string; static_configs: { targets: string[] }[] }[];
}

const FOLDER = join(ROOT, 'deploy/grafana');
const board = JSON.parse(readFileSync(join(FOLDER, 'stockmesh.json'), 'utf8')) as {
  panels: Panel[];
  annotations: { list: { expr: string }[] };
};
const { groups } = load(readFileSync(join(FOLDER, 'rules.yaml'), 'utf8')) as { groups: { name: string; rules: Rule[] }[] };
const scraping = load(readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8')) as PrometheusConfig;
const rules = groups.flatMap((group) => group.rules);
const queries = board.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const expressions = [...queries, ...board.annotations.list.map(({ expr }) => expr), ...rules.map(({ expr }) => expr)];

/** Made by Prometheus for each target. */
const OF_PROMETHEUS = { metrics: ['up'], labels: ['job', 'instance'] };
/** Not caused here: a transaction that the server refuses as a deadlock. Its label is shown by test/scheduler/metrics.test.ts. */
const NOT_CAUSED: Readonly<Record<string, string[]>> = { stockmesh_transaction_retries_total: ['errno'] };

let data: string;
let up: Command;
/** By the job's name in prometheus.yml. */
let targets: Record<string, string>;
/** Of all processes: name → the labels of each sample. */
let exported: Map<string, Record<string, string>[]>;

beforeAll(async () => {
  data = join(mkdtempSync(join(tmpdir(), 'stockmesh-board-')), 'data');
  const first = metricsPort();
  const http = await freePort();
  const set = {
    'monitoring.port': first,
    'monitoring.ports.portfolio_priority': first + 1,
    'monitoring.ports.worker': first + 21,
    'monitoring.ports.notifier': first + 11,
    'scheduler.stats_interval': 0.5,
  };
  const ports = ['--mqtt-port', String(await freePort()), '--http-port', String(http)];
  const settings = Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const routes = [{ name: 'nobody', on: ['alert.raised'], wait: 0, to: { webhook: { url: 'http://127.0.0.1:1/', format: 'json' } } }];
  const file = join(data, '../routes.yaml');
  writeFileSync(file, dump({ job_processor: { notify: { routes } } }));
  up = stockmesh(['--data', data, '--env', 'demo', '--config', file, ...settings, 'up', ...ports, '--source', 'simulated']);
  await up.until(/Ctrl-C stops everything/);
  const address = (port: number): string => `127.0.0.1:${port}`;
  targets = {
    'stockmesh-scheduler': address(first),
    'stockmesh-portfolio-priority': address(first + 1),
    'stockmesh-worker': address(first + 21),
    'stockmesh-notifier': address(first + 11),
    'stockmesh-gateway': address(http),
  };
  await causeAll(http);
  await vi.waitFor(
    async () => {
      exported = new Map();
      for (const target of Object.values(targets)) for (const [name, labels] of await scrape(target)) namesakes(name).push(labels);
      expect(faultsOf(expressions)).toEqual([]);
    },
    { timeout: 60_000, interval: 500 },
  );
}, 240_000);

afterAll(async () => {
  up?.child.kill('SIGTERM');
  await up?.exited;
  rmSync(join(data, '..'), { recursive: true, force: true });
});

const namesakes = (name: string): Record<string, string>[] => exported.getOrInsertComputed(name, () => []);

async function scrape(target: string): Promise<[name: string, labels: Record<string, string>][]> {
  const text = await (await fetch(`http://${target}/metrics`)).text();
  return text.split('\n').flatMap((line) => {
    const [, name = '', labels = ''] = /^([a-z_:]\w*)(?:\{(.*)\})? \S+$/i.exec(line) ?? [];
    return name === ''
      ? []
      : [[name, Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value]))]];
  });
}

/** What lets the metrics appear that are only there when something has happened: logins on both ways, one refused (which raises an alert, told to nobody who listens), a job that fails, a minute with a login that had jobs. */
async function causeAll(http: number): Promise<void> {
  for (const [expected, ...args] of [
    [0, 'login', 'alice', '--wait'],
    [1, 'fetch', 'XXNONE', '--wait'],
  ] as const) {
    const command = stockmesh(['--data', data, ...args]);
    expect(await command.exited, command.output()).toBe(expected);
  }
  const key = readFileSync(join(data, 'gateway-operator.key'), 'utf8').trim();
  const login = (body: object) =>
    fetch(`http://127.0.0.1:${http}/v1/events/login`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  expect((await login({ userId: 'bob' })).status).toBe(202);
  expect((await login({ userId: 'bob', at: '2020-01-01T00:00:00Z' })).status).toBe(400);
  const db = openDatabase({ ...databaseOptions(loadConfig({ environment: 'demo' }).config, data, 'service'), maxConnections: 1 });
  await writeStats(db, MINUTE_S, {
    ...{ at: new Date(Date.now() - 120_000), minutes: 1, ready: 0, running: 0, scheduled: 0, blocked: 0, oldest_s: null },
    ...{ enqueued: 0, completed: 0, failed: 0, workers: 1, slots: 1, busy: 0, logins: 1 },
    details: { queues: {}, types: {}, codes: {}, sources: {}, wait: noBuckets(), run: noBuckets(), login_fresh: bucketsOf([0.4]) },
  });
  await db.close();
}

/** What the expressions name and no process exports: metrics, labels, and values of labels that no sample has. */
function faultsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    const { metrics, groups: grouped, faults } = namedIn(text);
    const ofOthers = (name: string, label: string): boolean =>
      OF_PROMETHEUS.metrics.includes(name) || OF_PROMETHEUS.labels.includes(label) || (NOT_CAUSED[name] ?? []).includes(label);
    for (const { name, matchers } of metrics) {
      const samples = exported.get(name) ?? [];
      if (samples.length === 0 && NOT_CAUSED[name] === undefined && !OF_PROMETHEUS.metrics.includes(name))
        faults.push(`${text}: no process exports ${name}`);
      for (const { label, op, value } of matchers.filter((one) => !ofOthers(name, one.label))) {
        const whole = op.endsWith('~') ? new RegExp(`^(?:${value})$`) : undefined;
        const fits = (sample: Record<string, string>): boolean =>
          sample[label] !== undefined && (whole === undefined ? sample[label] === value : whole.test(sample[label])) === op.startsWith('=');
        if (!samples.some(fits)) faults.push(`${text}: no sample of ${name} has ${label}${op}"${value}"`);
      }
    }
    for (const { label, metrics: inside } of grouped)
      for (const name of inside.filter((one) => !ofOthers(one, label)))
        if (!(exported.get(name) ?? []).some((sample) => label in sample)) faults.push(`${text}: ${name} has no label ${label}`);
    return faults;
  });
}

test('each metric, label and value of a label that the board and the rules name is exported by the mesh', () => {
  expect(expressions.length).toBeGreaterThan(60);
  expect(faultsOf(expressions)).toEqual([]);
});

test('an expression with a fault is noticed', () => {
  expect(faultsOf(['sum by (queue (stockmesh_jobs)'])).toHaveLength(1);
  expect(faultsOf(['max(stockmesh_jobz)'])[0]).toContain('no process exports stockmesh_jobz');
  expect(faultsOf(['sum by (queeu) (stockmesh_jobs)'])[0]).toContain('stockmesh_jobs has no label queeu');
  expect(faultsOf(['stockmesh_jobs{state="reddy"}'])[0]).toContain('no sample of stockmesh_jobs has state="reddy"');
});

test('no label of a metric of ours has more than fifty values, but for those of processes', () => {
  const values = [...exported]
    .filter(([name]) => name.startsWith('stockmesh_'))
    .flatMap(([name, samples]) => {
      const labels = new Set(samples.flatMap((sample) => Object.keys(sample)));
      return [...labels].map((label) => ({ at: `${name} ${label}`, count: new Set(samples.map((sample) => sample[label])).size }));
    });
  expect(values.filter(({ count }) => count > 50)).toEqual([]);
});

test('the panels of the board have numbers of their own, say what they show, and lie beside each other', () => {
  const { panels } = board;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(panels.filter(({ type, description }) => type !== 'row' && !description)).toEqual([]);
  const fields = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
  );
  expect(new Set(fields).size).toBe(fields.length);
  expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
});

test('each rule says what it means, what to do, and a command that exists', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, annotations, labels } of rules) {
    expect(Object.keys(annotations), alert).toEqual(['summary', 'meaning', 'action', 'command']);
    expect(['warning', 'critical']).toContain(labels.severity);
    expect(faultsOfCommand(annotations.command as string), alert).toEqual([]);
  }
  expect(faultsOfCommand('npx stockmesh jobs --sate ready')).toEqual(['npx stockmesh jobs --sate ready: jobs has no --sate']);
});

const program = findProgram(['prometheus']);
if (program === undefined) console.warn('skipped: a Prometheus that asks the mesh, since Debian’s package prometheus is not installed');

test.skipIf(program === undefined)(
  'a Prometheus with this configuration reaches all services, takes the rules, and answers each query of the board',
  { timeout: 120_000 },
  async () => {
    const folder = join(data, '../prometheus');
    mkdirSync(folder);
    const settings = {
      ...scraping,
      global: { scrape_interval: '500ms', evaluation_interval: '500ms' },
      rule_files: scraping.rule_files.map((file) => join(FOLDER, file)),
      scrape_configs: scraping.scrape_configs.map((one) => ({ ...one, static_configs: [{ targets: [targets[one.job_name]] }] })),
    };
    writeFileSync(join(folder, 'prometheus.yml'), dump(settings));
    const port = await freePort();
    const server = spawn(program as string, [
      ...[`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`],
    ]);
    let said = '';
    server.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    onTestFinished(async () => {
      server.kill('SIGTERM');
      if (server.exitCode === null) await once(server, 'exit');
    });
    const ask = async <T>(path: string): Promise<T> => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch((error: Error) => {
        throw new Error(`${error.message}: ${said.slice(-500)}`);
      });
      return ((await answer.json()) as { data: T }).data;
    };
    const query = async (text: string): Promise<number> =>
      (await ask<{ result: unknown[] }>(`query?query=${encodeURIComponent(withInterval(text, '10s'))}`)).result.length;
    const wait = { timeout: 60_000, interval: 500 };

    await vi.waitFor(async () => expect(await query('sum(up) == 5')).toBe(1), wait);
    const unanswered = queries.filter((text) => !namedIn(text).metrics.some(({ name }) => NOT_CAUSED[name]));
    await vi.waitFor(async () => {
      for (const text of unanswered.slice()) if ((await query(text)) > 0) unanswered.splice(unanswered.indexOf(text), 1);
      expect(unanswered).toEqual([]);
    }, wait);
    await vi.waitFor(async () => {
      const taken = await ask<{ groups: { rules: { name: string; health: string }[] }[] }>('rules');
      const found = taken.groups.flatMap((group) => group.rules.map(({ name, health }) => `${name} ${health}`));
      expect(found.sort()).toEqual(rules.map(({ alert }) => `${alert} ok`).sort());
    }, wait);
  },
);
