/** The OpenAPI document, from which clients are generated. */
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  responses: Record<string, unknown>;
}
const read = async () => (await mesh.anonymous.get('/openapi.json')).body as { paths: Record<string, Record<string, Operation>> };

test('the document passes the recommended rules of a linter', async () => {
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source: JSON.stringify(await read(), null, 1), absoluteRef: 'openapi.json', config });
  expect(problems.map(({ ruleId, message, location: [at] }) => `${ruleId}: ${message} (${at?.pointer})`)).toEqual([]);
});

test('every operation has a name of its own, which a generated client can use, and says what it refuses', async () => {
  const operations = Object.values((await read()).paths).flatMap((methods) => Object.values(methods));
  expect(operations.length).toBeGreaterThan(30);
  const names = operations.map(({ operationId }) => operationId ?? '');
  expect(names.filter((name) => !/^[a-z]+(?:[A-Z][a-z]+)*$/.test(name))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  expect(operations.filter(({ summary, tags, responses }) => !summary || tags?.length !== 1 || !('4XX' in responses))).toEqual([]);
});
