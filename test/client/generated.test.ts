/** The client's types are made of the gateway's OpenAPI document. `-u` makes them again. */
import { expect, test } from 'vitest';
import { gatewayMesh } from '../gateway/mesh.ts';
import { type OpenApi, openapiTypes } from './openapi-types.ts';

const mesh = gatewayMesh();

test('the types of the API are those of its OpenAPI document', async () => {
  const { body } = await mesh.anonymous.get('/openapi.json');
  await expect(openapiTypes(body as OpenApi)).toMatchFileSnapshot(new URL('../../services/client/openapi.ts', import.meta.url).pathname);
});
