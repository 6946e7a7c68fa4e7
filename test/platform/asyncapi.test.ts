import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { listedNames } from '../../services/job-types/index.ts';
import { asyncapi as documentOf } from '../../services/platform/asyncapi.ts';
import { TOPIC_KINDS, TOPICS } from '../../services/platform/topics.ts';

const asyncapi = () => documentOf(listedNames());
const document = load(asyncapi()) as Record<string, unknown>;
const at = (reference: string) =>
  reference
    .slice(2)
    .split('/')
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);

test('the checked-in asyncapi.yaml is what the table and the schemas give now; write it anew with: stockmesh asyncapi > asyncapi.yaml', () => {
  expect(readFileSync(new URL('../../asyncapi.yaml', import.meta.url), 'utf8')).toBe(asyncapi());
});

test('the parser of AsyncAPI accepts the document, and has nothing to say against it', async () => {
  const { document: parsed, diagnostics } = await new Parser().parse(asyncapi());
  expect(diagnostics.map(({ code, message, path }) => `${code}: ${message} (${path.join('.')})`)).toEqual([]);
  expect(parsed?.allChannels().length).toBe(TOPIC_KINDS.length);
});

test('every topic of the table is a channel with its address, and every level in it is described', () => {
  for (const kind of TOPIC_KINDS) {
    const channel = at(`#/channels/${kind}`) as { address: string; parameters?: Record<string, { description?: string }> };
    expect(channel.address).toBe(TOPICS[kind].pattern);
    const levels = [...channel.address.matchAll(/\{(.+?)\}/g)].map(([, name]) => name);
    expect(Object.keys(channel.parameters ?? {})).toEqual(levels);
    for (const parameter of Object.values(channel.parameters ?? {})) expect(parameter.description).toMatch(/\.$/);
  }
});

test('every reference leads somewhere', () => {
  const references = [...asyncapi().matchAll(/\$ref: '(.+?)'/g)].map(([, reference]) => reference!);
  expect(references).toHaveLength(2 * TOPIC_KINDS.length);
  for (const reference of references) expect(at(reference), reference).toBeDefined();
});

test('a hook may leave the version out and say more than is known, and nothing else of a payload is hidden', () => {
  expect(at('#/components/messages/login/payload')).toMatchObject({ required: ['userId'], additionalProperties: true });
  expect(at('#/components/messages/job/payload')).toMatchObject({ additionalProperties: false });
  expect(at('#/components/messages/job/payload/required')).toContain('v');
});
