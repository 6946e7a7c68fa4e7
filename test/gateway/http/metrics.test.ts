import { expect, test } from 'vitest';
import { faultsOf } from '../../support/promtool.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

test('the metrics are as Prometheus wants them', async () => {
  await mesh.operator.get('/v1/jobs');
  expect(faultsOf(String((await mesh.anonymous.get('/metrics')).body))).toEqual([]);
});

test('a login over HTTP is counted once its jobs are committed', async () => {
  const committed = async () =>
    Number(/^stockmesh_logins_committed_total (\d+)$/m.exec(String((await mesh.anonymous.get('/metrics')).body))?.[1]);
  const before = await committed();
  expect((await mesh.operator.post('/v1/events/login', { userId: 'alice' })).status).toBe(202);
  expect(await committed()).toBe(before + 1);
});
