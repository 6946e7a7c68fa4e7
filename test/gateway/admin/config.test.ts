import { expect, test, vi } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'stock_jobs.data_fetch.alpha_vantage.api_key': 'a-secret-key' });

test('the configuration is shown with its values, and no secret', async () => {
  const { keys } = (await mesh.operator.get('/v1/config')).body;
  const of = (key: string) => keys.find((one: { key: string }) => one.key === key);
  // config/default.yaml
  expect(of('worker.poll_interval')).toMatchObject({ value: 2 });
  expect(of('stock_jobs.data_fetch.alpha_vantage.api_key')).toMatchObject({ value: '•••' });
  expect(JSON.stringify(keys)).not.toContain('a-secret-key');
});

test('one section is shown alone, and an unknown one is 404', async () => {
  const { keys } = (await mesh.operator.get('/v1/config?below=gateway.sessions')).body;
  expect(keys.map(({ key }: { key: string }) => key)).toEqual(['gateway.sessions.seconds', 'gateway.sessions.code_seconds']);
  expect((await mesh.operator.get('/v1/config?below=gatewa')).body.code).toBe('config.unknown');
});

test('a service that is alive is told to drain, and the audit log says by whom', async () => {
  const bus = mesh.connect('worker');
  await bus.online();
  const heard = vi.fn();
  bus.subscribe('control', { concurrency: 1, queueLimit: 10 }, ({ body }) => heard(body));
  await mesh.db.run(
    "INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at) SELECT 'worker-1', 'worker', UUID(), 4, 0, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)",
  );
  await vi.waitFor(() => expect(bus.report().missing).toEqual([]));
  expect((await mesh.operator.post('/v1/workers/worker-1/drain')).status).toBe(202);
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith(expect.objectContaining({ instance: 'worker-1', action: 'drain' })));
  expect((await mesh.operator.get('/v1/audit?action=instance.drain')).body.rows).toMatchObject([{ target: 'instance:worker-1' }]);
  expect((await mesh.operator.post('/v1/workers/nobody/drain')).body.code).toBe('instance.unknown');
});
