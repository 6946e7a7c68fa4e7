/** The manifests: against the published schemas of Kubernetes, and what they name against each other and against stockmesh. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Namespace, Service } from 'kubernetes-models/v1';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { ROOT } from '../../docs/markdown.ts';
import { faultsOfCommand } from '../commands.ts';

const FOLDER = join(ROOT, 'deploy/kubernetes');
const read = (file: string): unknown[] => loadAll(readFileSync(join(FOLDER, file), 'utf8'));

const KINDS = { Deployment, StatefulSet, HorizontalPodAutoscaler, Job, Namespace, Service, NetworkPolicy, PodDisruptionBudget };
const GROUPS: Record<keyof typeof KINDS, string> = {
  ...{ Deployment: 'apps/v1', StatefulSet: 'apps/v1', Job: 'batch/v1', Namespace: 'v1', Service: 'v1' },
  ...{ HorizontalPodAutoscaler: 'autoscaling/v2', NetworkPolicy: 'networking.k8s.io/v1', PodDisruptionBudget: 'policy/v1' },
};

interface Container {
  name: string;
  args: string[];
  env: { name: string; value?: string }[];
  ports?: { name: string; containerPort: number }[];
  volumeMounts: { name: string; mountPath: string }[];
  securityContext: object;
  resources: { requests: object; limits: object };
  [probe: string]: unknown;
}
interface Pod {
  containers: Container[];
  volumes: { name: string; secret?: { secretName: string }; configMap?: { name: string } }[];
  securityContext: Record<string, unknown>;
}
interface Manifest {
  apiVersion: string;
  kind: keyof typeof KINDS;
  metadata: { name: string };
  spec: Record<string, unknown> & {
    template?: { metadata: { labels: Record<string, string>; annotations: Record<string, string> }; spec: Pod };
  };
}

interface Kustomization {
  resources: string[];
  configMapGenerator: { name: string; files: string[] }[];
}
const [kustomization] = read('kustomization.yaml') as [Kustomization];
const manifests = kustomization.resources.flatMap(read) as Manifest[];
const pods = manifests.flatMap(({ kind, metadata, spec: { template, ...spec } = {} }) =>
  template === undefined ? [] : [{ kind, name: metadata.name, spec, labels: template.metadata.labels, pod: template.spec, template }],
);
const services = pods.filter(({ kind }) => kind !== 'Job');
const named = (name: string, kind: string): Manifest | undefined =>
  manifests.find((one) => one.kind === kind && one.metadata.name === name);

test('each file is part of the kustomization, but for the values of the metrics adapter', () => {
  const files = [...kustomization.resources, ...kustomization.configMapGenerator.flatMap(({ files: some }) => some)];
  expect([...files, 'kustomization.yaml', 'metrics-adapter.yaml'].sort()).toEqual(readdirSync(FOLDER).sort());
});

test.each(manifests.map((manifest) => [manifest.kind, manifest.metadata.name, manifest] as const))(
  '%s %s is what the schema of Kubernetes says',
  (kind, _, manifest) => {
    expect(manifest.apiVersion).toBe(GROUPS[kind]);
    // The constructors take what their types allow; the schema looks at all of it.
    new (KINDS[kind] as new (data: unknown) => { validate(): void })(manifest).validate();
  },
);

test('no manifest has a field that Kubernetes does not know', { timeout: 120_000 }, () => {
  // The schemas take unknown fields, as a cluster does, which drops them. The types do not, in a literal.
  const folder = join(ROOT, 'node_modules/.cache/stockmesh-manifests');
  mkdirSync(folder, { recursive: true });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const fields = (all: readonly object[]): string => {
    const lines = (all as Manifest[]).map(
      (manifest, index) =>
        `export const m${index}: import('kubernetes-models/${GROUPS[manifest.kind]}').I${manifest.kind} = ${JSON.stringify(manifest)};`,
    );
    writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'));
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'esnext',
      '--types',
      '',
      '--ignoreConfig',
    ];
    return spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...options, join(folder, 'manifests.ts')], {
      encoding: 'utf8',
    }).stdout;
  };
  expect(fields(manifests)).toBe('');
  expect(fields([{ ...manifests[0], metadata: { name: 'x', labelz: {} } }])).toMatch(/labelz.* does not exist/);
});

const kubectl = findProgram(['kubectl']);
if (kubectl === undefined) console.warn('skipped: the kustomization as a whole, since kubectl is not installed');

test.skipIf(kubectl === undefined)('kubectl builds the kustomization, with every manifest and the configuration in it', () => {
  const built = loadAll(execFileSync(kubectl as string, ['kustomize', FOLDER], { encoding: 'utf8' })) as Manifest[];
  expect(built.map(({ kind }) => kind).sort()).toEqual([...manifests.map(({ kind }) => kind), 'ConfigMap'].sort());
});

test('each service of stockmesh runs, with two schedulers, from one image', () => {
  expect(services.map(({ name }) => name).sort()).toEqual(['gateway', 'notifier', 'portfolio-priority', 'scheduler', 'worker']);
  expect(services.find(({ name }) => name === 'scheduler')?.spec.replicas).toBe(2);
  for (const { pod } of pods) expect(pod.containers.map(({ image }) => image)).toEqual(['stockmesh']);
});

test('each command is one of stockmesh', () => {
  for (const { pod } of pods) {
    const { args } = pod.containers[0] as Container;
    const words = args.filter((word, index) => word !== '--set' && args[index - 1] !== '--set');
    expect(faultsOfCommand(`npx stockmesh ${words.join(' ')}`)).toEqual([]);
  }
});

test('no container is root, writes to its root, or has a right', () => {
  for (const { name, pod } of pods) {
    expect([name, pod.securityContext]).toMatchObject([
      name,
      { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
    ]);
    for (const { securityContext } of pod.containers)
      expect(securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  }
});

test('each service is asked at the port at which it answers in production, and has requests and limits', () => {
  const files = [join(FOLDER, 'stockmesh.yaml')];
  const { gateway, monitoring } = loadConfig({ environment: 'production', files, env: {} }).config;
  expect([gateway.host, monitoring.host]).toEqual(['0.0.0.0', '0.0.0.0']);
  const ports: Record<string, number> = {
    ...{ gateway: gateway.port, scheduler: monitoring.port, 'portfolio-priority': monitoring.ports.portfolio_priority },
    ...{ worker: monitoring.ports.worker, notifier: monitoring.ports.notifier },
  };
  for (const { name, pod, template } of services) {
    const [container] = pod.containers as [Container];
    expect(container.ports).toEqual([{ name: 'http', containerPort: ports[name] }]);
    expect(template.metadata.annotations['prometheus.io/port']).toBe(String(ports[name]));
    for (const probe of ['startupProbe', 'readinessProbe'])
      expect(container[probe]).toMatchObject({ httpGet: { path: '/readyz', port: 'http' } });
    expect(container.livenessProbe).toMatchObject({ tcpSocket: { port: 'http' } });
    expect([container.resources.requests, container.resources.limits]).toMatchObject([
      { cpu: expect.any(String), memory: expect.any(String) },
      { memory: expect.any(String) },
    ]);
  }
});

test('each variable with a secret is one of the configuration and names a file that is mounted; each mount has its volume', () => {
  const known = readFileSync(join(ROOT, 'config/default.yaml'), 'utf8');
  for (const { name, pod } of pods) {
    const [{ env, volumeMounts }] = pod.containers as [Container];
    const files = env.filter(({ name: variable }) => variable.endsWith('_FILE'));
    expect(files.length).toBe(name === 'migrate' ? 1 : 2);
    for (const { name: variable, value } of files) {
      expect(known).toContain(`\${${variable.replace(/_FILE$/, '')}:-`);
      expect(value).toMatch(/^\/run\/secrets\/stockmesh\/[a-z-]+$/);
    }
    expect(volumeMounts.map((mount) => mount.name).sort()).toEqual(pod.volumes.map((volume) => volume.name).sort());
    expect(pod.volumes.find((volume) => volume.secret)?.secret?.secretName).toBe(`stockmesh-${name}`);
  }
});

test('each service has a disruption budget, and each selector finds the pods that it is meant for', () => {
  const labelsOf = (name: string) => services.find((one) => one.name === name)?.labels;
  for (const { name, spec, labels } of services) {
    expect((spec.selector as { matchLabels: object }).matchLabels).toEqual(labels);
    expect(named(name, 'PodDisruptionBudget')?.spec.selector).toEqual({ matchLabels: labels });
  }
  for (const { metadata, spec } of manifests.filter(({ kind }) => kind === 'Service'))
    expect(spec.selector).toEqual(labelsOf(metadata.name));
});

test('the network lets nothing through but what is named', () => {
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
  expect(named('deny', 'NetworkPolicy')?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  const ports = policies.flatMap(({ spec }) =>
    [spec.ingress, spec.egress].flatMap((rules) => ((rules ?? []) as { ports: object[] }[]).map((rule) => rule.ports)),
  );
  expect(ports.length).toBeGreaterThan(3);
  expect(ports).not.toContainEqual(undefined);
});

test('every service reaches the collector that the configuration may name, by its port', () => {
  // As the comment of the configuration names it, and as OTLP over HTTP has it: port 4318.
  const [, host, port] = /endpoint: http:\/\/([\w.]+):(\d+)/.exec(readFileSync(join(FOLDER, 'stockmesh.yaml'), 'utf8')) ?? [];
  const [, namespace] = (host ?? '').split('.');
  expect(Number(port)).toBe(4318);
  expect(named('traces', 'NetworkPolicy')?.spec).toEqual({
    podSelector: {},
    policyTypes: ['Egress'],
    egress: [
      {
        to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }],
        ports: [{ protocol: 'TCP', port: Number(port) }],
      },
    ],
  });
});

test('the workers are scaled by the oldest job of the foreground, a metric that the scheduler exports and the adapter hands on', () => {
  const name = 'stockmesh_queue_oldest_seconds';
  const spec = named('worker', 'HorizontalPodAutoscaler')?.spec;
  expect(spec?.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'worker' });
  expect(named('worker', 'Deployment')?.spec).not.toHaveProperty('replicas');
  expect(spec?.metrics).toEqual([
    expect.objectContaining({
      type: 'External',
      external: expect.objectContaining({ metric: { name, selector: { matchLabels: { queue: 'foreground' } } } }),
    }),
  ]);
  const [adapter] = read('metrics-adapter.yaml') as [{ rules: { external: { seriesQuery: string; name: { as: string } }[] } }];
  expect(adapter.rules.external).toMatchObject([{ seriesQuery: expect.stringContaining(name), name: { as: name } }]);
  // Of the mesh of the board's test.
  expect(readFileSync(join(ROOT, 'deploy/grafana/stockmesh.json'), 'utf8')).toContain(`max by (queue) (${name})`);
});
