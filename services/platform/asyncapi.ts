import { dump } from 'js-yaml';
import { z } from 'zod';
import { type Listed, MAX_PAYLOAD_BYTES, SCHEMAS } from './messages.ts';
import { areaOf, TOPIC_KINDS, TOPICS, type TopicKind } from './topics.ts';

const ABOUT = `The messages of the services of stockmesh over MQTT. Payloads are JSON of at most ${MAX_PAYLOAD_BYTES} bytes, and fields that are not listed are refused,
but for those of a login, which are left out and counted.
A configured topic_prefix stands before every topic. In a variable level every character outside A-Z a-z 0-9 - is written as "_" and two
upper-case hexadecimal digits for each of its bytes in UTF-8 (BRK.B is BRK_2EB); the payload has the raw value.
`;

const LEVEL_MEANINGS: Record<string, string> = {
  symbol: 'The symbol.',
  id: 'The job.',
  user: 'The user.',
  service: 'The service, like worker or gateway.',
  instance: 'The running instance of the service.',
  name: 'The alert.',
  area: 'What the job does.',
  kind: 'What is stored.',
};

/**
 * The AsyncAPI 3.0 document of the mesh, as YAML: every topic and every payload, from the same table and schemas that check the messages. `listed`: the names that
 * `job-types/` lists.
 */
export function asyncapi(listed: Listed): string {
  const each = <T>(make: (kind: TopicKind) => T) => Object.fromEntries(TOPIC_KINDS.map((kind) => [kind, make(kind)]));
  const document = {
    asyncapi: '3.1.0',
    info: {
      title: 'stockmesh',
      version: '1',
      description: ABOUT,
    },
    defaultContentType: 'application/json',
    channels: each((kind) => channel(kind, listed)),
    operations: each((kind) => ({
      action: 'send',
      summary: `${TOPICS[kind].from} → ${TOPICS[kind].to}`,
      channel: { $ref: `#/channels/${kind}` },
      bindings: { mqtt: { qos: TOPICS[kind].qos, retain: TOPICS[kind].retain, bindingVersion: '0.2.0' } },
    })),
    components: { messages: each((kind) => ({ name: kind, summary: TOPICS[kind].about, payload: payloadSchema(kind, listed) })) },
  };
  return dump(document, { lineWidth: -1, noRefs: true });
}

function channel(kind: TopicKind, listed: Listed): object {
  const { pattern, about } = TOPICS[kind];
  const levels = [...pattern.matchAll(/\{(.+?)\}/g)].map(([, name]) => name!);
  const parameters = levels.map((name) => {
    const values = valuesOf(name, listed);
    const description = name === 'key' ? keyMeaning(listed) : LEVEL_MEANINGS[name];
    return [name, values ? { description, enum: values } : { description }];
  });
  return {
    address: pattern,
    description: about,
    ...(levels.length > 0 && { parameters: Object.fromEntries(parameters) }),
    messages: { [kind]: { $ref: `#/components/messages/${kind}` } },
  };
}

/** The values of a level that has few. */
function valuesOf(level: string, { jobTypes, dataKinds }: Listed): string[] | undefined {
  if (level === 'area') return [...new Set(jobTypes.map((type) => areaOf(type).area))];
  return level === 'kind' ? [...dataKinds] : undefined;
}

function keyMeaning({ jobTypes }: Listed): string {
  const batches = jobTypes.map(areaOf).flatMap(({ area, isBatch }) => (isBatch ? [`stock/${area}`] : []));
  const batch = batches.length === 0 ? '' : `; "batch" below ${batches.join(', ')} for a job of many symbols`;
  return `The symbol, or the user of a job without one${batch}.`;
}

/** What a sender may write. AsyncAPI's own schema dialect extends JSON Schema draft 7. */
function payloadSchema(kind: TopicKind, listed: Listed): object {
  const { $schema: _, ...schema } = z.toJSONSchema(SCHEMAS[kind], {
    target: 'draft-7',
    io: 'input',
    // `format: date-time` says it; zod's pattern for the same is 300 characters.
    override: ({ jsonSchema }) => {
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
      if (jsonSchema.listed === undefined) return;
      jsonSchema.enum = [...listed[jsonSchema.listed as keyof Listed]];
      delete jsonSchema.listed;
      delete jsonSchema.pattern;
    },
  });
  return schema;
}
