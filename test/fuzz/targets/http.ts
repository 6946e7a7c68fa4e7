/** Requests by the gateway's own OpenAPI document: as it describes them, or with one thing wrong. */

import type { Random } from '../random.ts';
import { type Target, type Verdict, Wrong } from '../target.ts';
import { type Answer, clientOf } from './http-client.ts';

interface Schema {
  type?: string;
  enum?: string[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  required?: string[];
  items?: Schema;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
}
interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}
interface Operation {
  method: string;
  path: string;
  parameters: Parameter[];
  body: Schema | undefined;
}

interface Request {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
  /** What is wrong with it: the field that the answer must name, '' where there is none. Undefined for a right one. */
  wrong: string | undefined;
}

const SYMBOLS = ['AAPL', 'MSFT', 'brk-b', '^GSPC', 'EURUSD=X', 'M&M.NS', 'BTC-USD'];
const USERS = ['alice', 'bob', 'Zoë', 'a b', '%', '李', "o'neil", 'x/y', '..', '#1'];

/** Text for a field, by its name where the schema says less than the field is. */
function textFor(random: Random, name: string, schema: Schema): string {
  if (name === 'series')
    return random.list(3, () => random.pick(['depth', 'rates', 'codes', 'latency', 'workers', 'sources'])).join(',') || 'depth';
  if (name === 'state') return random.list(2, () => random.pick(['ready', 'failed', 'completed', 'expired'])).join(',') || 'running';
  if (/^\^(?:\(\?:\\d\{1,14\}~\)\{0,2\})?\[0-9a-f/.test(schema.pattern ?? '') && schema.pattern !== '^[0-9a-f]{16}$')
    return `01932c07-5f2a-7000-8a3b-${String(random.below(1e9)).padStart(12, '0')}`;
  if (schema.pattern === '^[0-9a-f]{16}$')
    return random
      .below(2 ** 32)
      .toString(16)
      .padStart(16, '0');
  if (name === 'scopes') return random.pick(['read', 'jobs', 'login', 'user:alice', 'user:李']);
  if (name === 'expires_at') return new Date(Date.now() + 86_400_000).toISOString();
  if (schema.format === 'date') return `2026-0${1 + random.below(9)}-1${random.below(10)}`;
  if (schema.format === 'date-time') return new Date(Date.now() - random.below(3_600_000)).toISOString();
  if (/^\^\\d\{1,\d+\}\$$/.test(schema.pattern ?? '')) return String(random.below(1_000));
  if (/^(symbols?|root)$/.test(name)) return random.once(3) ? `S${random.below(500)}` : random.pick(SYMBOLS);
  if (/^(id|user|userId)$/.test(name)) return random.pick(USERS);
  if (name === 'types') return random.list(3, () => random.pick(['job', 'status', 'data', 'stats', 'alert'])).join(',') || 'job';
  if (name === 'callback_url') return 'https://hooks.example.com/stockmesh';
  if (name === 'min_rank') return String(random.below(101));
  if (name === 'contract') return `AAPL27011${random.below(10)}C00150000`;
  if (/^(adjusted|why|all|dry_run|skip_wrong|allow_gaps)$/.test(name)) return random.pick(['true', 'false', '1', '0']);
  // The key of a stored object, or where its list goes on.
  if (name === 'key' && random.once(2)) return `x${random.pick(['é', '李', '😀', '\u202e', 'ſ'])}`;
  if (name === 'cursor' && random.once(2)) return `x${random.pick(['é', '李', '😀', 'ſ'])}`;
  if (name === 'interests') return random.pick(['technology', 'healthcare', 'energy', 'Consumer Cyclical']);
  return `x${random.text(8).replaceAll(/[^\x21-\x7e]/g, '')}`;
}

function sample(random: Random, name: string, schema: Schema): unknown {
  const choice = schema.anyOf ?? schema.oneOf;
  if (choice !== undefined) return sample(random, name, random.pick(choice));
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return random.pick(schema.enum);
  if (schema.type === 'null') return null;
  if (schema.type === 'boolean') return random.once(2);
  if (schema.type === 'array') {
    const items = Array.from({ length: Math.max(schema.minItems ?? 0, 1 + random.below(Math.min(schema.maxItems ?? 4, 4))) }, () =>
      sample(random, name, schema.items ?? {}),
    );
    return items;
  }
  if (schema.type === 'object' || schema.properties !== undefined) {
    const fields = Object.entries(schema.properties ?? {}).filter(([field]) => schema.required?.includes(field) || random.once(2));
    return Object.fromEntries(fields.map(([field, of]) => [field, sample(random, field, of)]));
  }
  if (schema.type === 'integer' || schema.type === 'number') {
    const least = schema.minimum ?? (schema.exclusiveMinimum ?? -1) + 1;
    const most = Math.min(schema.maximum ?? (schema.exclusiveMaximum ?? 1_001) - 1, least + 1_000);
    return most < least ? (least + (schema.maximum ?? 1)) / 2 : least + random.below(most - least + 1);
  }
  return textFor(random, name, schema);
}

/**
 * Makes the fields of a download go together, of which the document says only what each of them is: the days, and the interval of the schema. A caller that waits for the end
 * of a download, for which there is no worker here, waits for a minute.
 */
function fitDownload(random: Random, fields: Record<string, unknown>): void {
  if (fields.mode === 'sync') fields.mode = 'async';
  if (fields.dataset === 'option' || 'max_dte' in fields || 'base_pct' in fields) {
    if ('dataset' in fields) fields.dataset = 'option';
    if (fields.schema === 'earnings') fields.schema = 'eod';
  }
  if ('interval' in fields)
    fields.interval = random.pick<unknown>(['1m', '15m', '1h', '60000', ...(typeof fields.interval === 'number' ? [900_000] : [])]);
  if (fields.schema === undefined && 'interval' in fields) fields.interval = '15m';
  if (fields.schema === 'eod' || fields.schema === 'earnings') delete fields.interval;
  for (const [first, last] of [
    ['start_date', 'end_date'],
    ['from', 'to'],
  ] as const)
    for (const [name, days] of [
      [first, ['2025-11-03', '20251103', '2016-12-30']],
      [last, ['2025-11-03', '20251128', '2026-01-02']],
    ] as const)
      if (name in fields) fields[name] = random.pick(days);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The same with the schemas themselves in place of their names. */
function withoutNames<T>(part: T, schemas: Record<string, Schema>): T {
  return JSON.parse(JSON.stringify(part ?? null), (_, value) =>
    typeof value?.$ref === 'string' ? withoutNames(schemas[value.$ref.split('/').at(-1)], schemas) : value,
  ) as T;
}

/** Whether no body has a field that the schema does not name. */
function refusesUnknown(schema: Schema): boolean {
  const choice = schema.anyOf ?? schema.oneOf;
  return choice === undefined ? schema.type === 'null' || schema.additionalProperties === false : choice.every(refusesUnknown);
}

/** Changes one thing for the worse; gives the name of the field. Undefined where the request has nothing of the kind. */
function spoil(random: Random, operation: Operation, query: Map<string, string>, body: unknown): string | undefined {
  const kind = random.below(4);
  if (kind === 0) {
    query.set('surprise', '1');
    return 'surprise';
  }
  const inQuery = operation.parameters.filter((one) => one.in === 'query');
  if (kind === 1) {
    const checked = inQuery.filter(({ schema }) => schema.enum !== undefined || schema.type === 'integer' || schema.pattern !== undefined);
    if (checked.length === 0) return undefined;
    const { name, schema } = random.pick(checked);
    query.set(
      name,
      schema.type === 'integer'
        ? random.pick(['0.5', '-1', '1e99', 'x', '99999999', 'NaN', '0x10', '1e1', '+5', ' 5', ''])
        : '\u0000no such',
    );
    return name;
  }
  if (!isObject(body) || operation.body === undefined) return undefined;
  if (kind === 2) {
    if (!refusesUnknown(operation.body)) return undefined;
    const name = random.pick(['surprise', 'constructor_', 'Symbol', 'users']);
    body[name] = random.pick([1, null, 'x', {}]);
    return name;
  }
  const fields = Object.keys(body);
  if (fields.length === 0) return undefined;
  const field = random.pick(fields);
  body[field] = random.pick<unknown>([{ nested: true }, [[]], 1e300, { toString: 1 }]);
  return field;
}

function makeRequest(random: Random, operations: readonly Operation[], known: readonly string[]): Request {
  const operation = random.pick(operations);
  const query = new Map<string, string>();
  const headers: Record<string, string> = {};
  let { path } = operation;
  for (const { name, in: place, required, schema } of operation.parameters) {
    const isJob = name === 'id' && schema.pattern?.startsWith('^[0-9a-f]{8}-');
    const text = isJob && random.once(2) ? random.pick(known) : String(sample(random, name, schema));
    if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(text).replaceAll('.', '%2E'));
    else if (required || random.once(3)) {
      if (place === 'query') query.set(name, text);
      else headers[name] = text.replaceAll(/[^\x21-\x7e]/g, '');
    }
  }
  const body = operation.body === undefined ? undefined : sample(random, '', operation.body);
  const asked = Object.fromEntries(query);
  if (/v1\/histor|^\/histor/.test(path)) for (const fields of [asked, body]) if (isObject(fields)) fitDownload(random, fields);
  for (const name of [...query.keys()])
    if (asked[name] === undefined) query.delete(name);
    else query.set(name, asked[name]);
  const wrong = random.once(2) ? spoil(random, operation, query, body) : undefined;
  const search = [...query].map(([name, text]) => `${encodeURIComponent(name)}=${encodeURIComponent(text)}`).join('&');
  let bytes = body === undefined || body === null ? undefined : Buffer.from(JSON.stringify(body));
  if (bytes !== undefined) headers['content-type'] = 'application/json';
  let whole = wrong;
  if (wrong === undefined && bytes !== undefined && random.once(8)) {
    // Of a body that cannot be read, no field can be named.
    whole = '';
    const kind = random.below(5);
    if (kind === 0) bytes = bytes.subarray(0, -1);
    else if (kind === 1) bytes = Buffer.concat([Buffer.from([0xff]), bytes]);
    else if (kind === 2)
      headers['content-type'] = random.pick(['text/plain', 'application/x-www-form-urlencoded', 'x', 'multipart/form-data']);
    else if (kind === 3) bytes = Buffer.from('['.repeat(random.pick([65, 5_000, 200_000])));
    else bytes = Buffer.from('{"__proto__":{"admin":true}}');
  }
  return { method: operation.method, path: `${path}${search === '' ? '' : `?${search}`}`, headers, body: bytes, wrong: whole };
}

/** Errors that say something else than that the request is malformed. */
function judgeAnswer({ path, wrong }: Request, { status, type, body }: Answer): Verdict {
  const shown = `${status} ${body.slice(0, 400)}`;
  // A gateway is not ready while its broker is away, and says so.
  if (status >= 500 && !path.startsWith('/readyz')) throw new Wrong(`answered ${shown}`);
  if (status < 400) {
    if (wrong !== undefined) throw new Wrong(`a wrong request is accepted, "${wrong}": ${shown}`);
    return 'accepted';
  }
  if (!path.startsWith('/readyz') && type !== 'application/problem+json') throw new Wrong(`an error as ${type}: ${shown}`);
  const problem = JSON.parse(body) as { status: number; code: string; detail: string; errors?: { field: string }[] };
  if (problem.status !== status || !/^[a-z_]+\.[a-z0-9_]+$/.test(problem.code) || problem.detail === '')
    throw new Wrong(`not a whole problem: ${shown}`);
  if (wrong === undefined && problem.code === 'request.invalid') throw new Wrong(`a right request is refused: ${shown}`);
  if (
    wrong !== undefined &&
    wrong !== '' &&
    !problem.detail.includes(wrong) &&
    !problem.errors?.some(({ field }) => field.startsWith(wrong))
  )
    throw new Wrong(`the answer does not name "${wrong}": ${shown}`);
  return 'refused';
}

export const requests: Target<Request> = {
  name: 'HTTP requests',
  inputs: 40_000,
  seconds: 120,
  together: 8,
  async open(servers) {
    const { url, key } = await servers.gateway();
    const client = clientOf(url, key);
    const document = JSON.parse((await client.ask('GET', '/openapi.json')).body) as {
      paths: Record<string, Record<string, { parameters?: Parameter[]; requestBody?: { content: Record<string, { schema: Schema }> } }>>;
      components: { schemas: Record<string, Schema> };
    };
    const { schemas } = document.components;
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, { parameters = [], requestBody }]): Operation => ({
          ...{ method: method.toUpperCase(), path, parameters: withoutNames(parameters, schemas) },
          body: withoutNames(requestBody?.content['application/json']?.schema, schemas) ?? undefined,
        }),
      ),
    );
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ type: 'batch_fetch', symbols: ['AAPL', 'MSFT'] });
    const made = JSON.parse((await client.ask('POST', '/v1/jobs', { headers, body })).body) as { jobs: { id: string }[] };
    const known = made.jobs.map(({ id }) => id);
    return {
      make: (random) => makeRequest(random, operations, known),
      judge: async (one) => judgeAnswer(one, await client.ask(one.method, one.path, { headers: one.headers, body: one.body })),
      shown: ({ method, path, headers: sent, body: bytes }) =>
        `${method} ${path} ${JSON.stringify(sent)} ${bytes?.toString().slice(0, 1_000) ?? ''}`,
      async settle() {
        if (servers.errors.length > 0) throw new Wrong(`the gateway logged ${servers.errors.length} errors, first ${servers.errors[0]}`);
      },
      close: async () => client.close(),
    };
  },
};
