import { dump } from 'js-yaml';
import { z } from 'zod';
import { MAX_PAYLOAD_BYTES, SCHEMAS } from './messages.ts';
import { TOPIC_KINDS, TOPICS, type TopicKind } from './topics.ts';

const ABOUT = `What the services of stockmesh say over MQTT. Payloads are JSON of at most ${MAX_PAYLOAD_BYTES} bytes, and fields that are not listed are refused.
A configured topic_prefix stands before every topic. In a variable level every character outside A-Z a-z 0-9 - is written as "_" and two
upper-case hexadecimal digits for each of its bytes in UTF-8 (BRK.B is BRK_2EB); the payload has the raw value.
`;

/** Levels whose values are few. */
const LEVEL_VALUES: Record<string, string[]> = {
  area: ['fetch', 'analysis', 'rank', 'history', 'picks'],
  kind: SCHEMAS.data.shape.kind.options,
};
const LEVEL_MEANINGS: Record<string, string> = {
  key: 'The symbol; "batch" below stock/fetch for a job of many symbols; the root symbol below stock/history; the user below stock/picks.',
  symbol: 'The symbol.',
  id: 'The job.',
  user: 'The user.',
  service: 'The service, like worker or gateway.',
  instance: 'The running instance of the service.',
  name: 'The alert.',
  area: 'What the job does.',
  kind: 'What landed.',
};

/** The AsyncAPI 3.0 document of the mesh, as YAML: every topic and every payload, from the same table and schemas that check the messages. */
export function asyncapi(): string {
  const each = <T>(make: (kind: TopicKind) => T) => Object.fromEntries(TOPIC_KINDS.map((kind) => [kind, make(kind)]));
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'stockmesh',
      version: '1',
      description: ABOUT,
    },
    defaultContentType: 'application/json',
    channels: each(channel),
    operations: each((kind) => ({
      action: 'send',
      summary: `${TOPICS[kind].from} → ${TOPICS[kind].to}`,
      channel: { $ref: `#/channels/${kind}` },
      bindings: { mqtt: { qos: TOPICS[kind].qos, retain: TOPICS[kind].retain, bindingVersion: '0.2.0' } },
    })),
    components: { messages: each((kind) => ({ name: kind, summary: TOPICS[kind].about, payload: payloadSchema(kind) })) },
  };
  return dump(document, { lineWidth: -1, noRefs: true });
}

function channel(kind: TopicKind): object {
  const { pattern, about } = TOPICS[kind];
  const levels = [...pattern.matchAll(/\{(.+?)\}/g)].map(([, name]) => name!);
  const parameters = levels.map((name) => {
    const values = LEVEL_VALUES[name];
    return [name, values ? { description: LEVEL_MEANINGS[name], enum: values } : { description: LEVEL_MEANINGS[name] }];
  });
  return {
    address: pattern,
    description: about,
    ...(levels.length > 0 && { parameters: Object.fromEntries(parameters) }),
    messages: { [kind]: { $ref: `#/components/messages/${kind}` } },
  };
}

/** What a sender may write. AsyncAPI's own schema dialect extends JSON Schema draft 7. */
function payloadSchema(kind: TopicKind): object {
  const { $schema: _, ...schema } = z.toJSONSchema(SCHEMAS[kind], {
    target: 'draft-7',
    io: 'input',
    // `format: date-time` says it; zod's pattern for the same is 300 characters.
    override: ({ jsonSchema }) => {
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
    },
  });
  return schema;
}
