import { expect, test } from 'vitest';
import { faultsOf } from '../../support/promtool.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

test('the metrics are as Prometheus wants them', async () => {
  await mesh.operator.get('/v1/jobs');
  expect(faultsOf(String((await mesh.anonymous.get('/metrics')).body))).toEqual([]);
});
