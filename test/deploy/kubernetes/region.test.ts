/** The overlay for workers of another region, as kubectl builds it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { ROOT } from '../../docs/markdown.ts';

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: { replicas?: number; template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
}

const kubectl = findProgram(['kubectl']);
if (kubectl === undefined) console.warn('skipped: the overlay of a region, since kubectl is not installed');

test.skipIf(kubectl === undefined)('it has workers alone, with the capability of the region, which the configuration takes', () => {
  const built = loadAll(
    execFileSync(kubectl as string, ['kustomize', join(ROOT, 'deploy/kubernetes-region')], { encoding: 'utf8' }),
  ) as Manifest[];
  const running = built.filter(({ kind }) => !['Namespace', 'ConfigMap', 'NetworkPolicy'].includes(kind));
  expect(running.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual([
    'Deployment worker',
    'PodDisruptionBudget worker',
  ]);
  const worker = running.find(({ kind }) => kind === 'Deployment');
  expect(worker?.spec.replicas).toBe(2);
  const variables = worker?.spec.template.spec.containers[0]?.env ?? [];
  // What the worker of the base has stays: its configuration and the files of its secrets.
  expect(variables.map(({ name }) => name)).toEqual([
    ...['STOCKMESH_CONFIG', 'STOCKMESH_DATABASE_PASSWORD_FILE', 'STOCKMESH_MQTT_WORKER_PASSWORD_FILE', 'STOCKMESH_WORKER_CAPABILITIES'],
  ]);
  const { STOCKMESH_WORKER_CAPABILITIES } = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  expect(readFileSync(join(ROOT, 'config/default.yaml'), 'utf8')).toContain(`\${STOCKMESH_WORKER_CAPABILITIES:-}`);
  expect(loadConfig({ env: { STOCKMESH_WORKER_CAPABILITIES } }).config.worker.capabilities).toEqual(['region:eu']);
});
