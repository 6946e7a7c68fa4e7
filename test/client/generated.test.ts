/** The checked-in files of the client are made of the gateway's OpenAPI document and of the client's own source. `-u` makes them again. */
import { readFileSync } from 'node:fs';
import { transformSync } from '@swc/core';
import { expect, test } from 'vitest';
import { gatewayMesh } from '../gateway/mesh.ts';
import { type OpenApi, openapiTypes } from './openapi-types.ts';

const mesh = gatewayMesh();
const CLIENT = new URL('../../client/', import.meta.url);

test('the types of the API are those of its OpenAPI document', async () => {
  const { body } = await mesh.anonymous.get('/openapi.json');
  await expect(openapiTypes(body as OpenApi)).toMatchFileSnapshot(new URL('openapi.ts', CLIENT).pathname);
});

for (const name of ['client', 'wait'])
  test(`${name}.js is what ${name}.ts says, without its types`, async () => {
    const source = readFileSync(new URL(`${name}.ts`, CLIENT), 'utf8');
    const { code } = transformSync(source, { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, isModule: true });
    await expect(code.replaceAll(/(from '\.\/\w+)\.ts'/g, "$1.js'").replaceAll(/(from "\.\/\w+)\.ts"/g, '$1.js"')).toMatchFileSnapshot(
      new URL(`${name}.js`, CLIENT).pathname,
    );
  });
