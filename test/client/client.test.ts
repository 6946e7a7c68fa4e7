/** The client as a program imports it: by the name of the package, against a gateway. */
import { expect, test } from 'vitest';
import { createClient, ProblemError } from '../../services/client/client.ts';
import { gatewayMesh } from '../gateway/mesh.ts';

const mesh = gatewayMesh();
const client = () => createClient({ url: `${mesh.gateway.url}/`, key: mesh.operator.key });
const YEAR = { root: 'AAPL', start_date: '2023-01-01', end_date: '2023-12-31', schema: 'eod' } as const;

test('asks for a download and reads its job', async () => {
  const { submit, job } = client();
  const submitted = await submit('option', YEAR);
  expect(submitted).toMatchObject({ status: 'accepted', total_items: 12, outcome: 'queued' });
  expect(await job(submitted.job_id)).toMatchObject({ job_id: submitted.job_id, type: 'history', progress: { total: 12 } });
  expect((await submit('stock', YEAR)).total_items).toBe(1);
});

test('a refusal is an error with its code, its text and its fields', async () => {
  const error = await client()
    .submit('option', { ...YEAR, end_date: '2022-01-01' })
    .catch((one: unknown) => one);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({ status: 400, code: 'request.invalid', fields: [{ in: 'body', field: 'end_date' }] });
  const stranger = createClient({ url: mesh.gateway.url, key: 'none' });
  await expect(stranger.submit('option', YEAR)).rejects.toMatchObject({ status: 401, code: 'access.bad_key' });
});

test('an unknown job ends the waiting with its problem', async () => {
  await expect(client().wait('01932c07-5f2a-7000-8a3b-0123456789ab')).rejects.toMatchObject({ status: 404, code: 'job.unknown' });
});

test('is found under the name of the package', async () => {
  const name = 'stockmesh/client';
  const imported = (await import(name)) as typeof import('../../services/client/client.ts');
  const submitted = await imported.createClient({ url: mesh.gateway.url, key: mesh.operator.key }).submit('option', YEAR);
  expect(submitted.status).toBe('accepted');
});
