/**
 * The types of an OpenAPI 3.1 document in the shape that openapi-fetch reads. Written here, since openapi-typescript needs another major version of the compiler than this
 * project has. Knows what zod makes of a schema, and throws at anything else.
 */

interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  description?: string;
}

interface Content {
  content?: Record<string, { schema?: Schema }>;
}

interface Operation {
  operationId: string;
  summary?: string;
  parameters?: { name: string; in: string; required?: boolean; schema: Schema; description?: string }[];
  requestBody?: Content & { required?: boolean };
  responses: Record<string, Content>;
}

export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas?: Record<string, Schema> };
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const HEAD = `/** The types of the HTTP API, made of its OpenAPI document: \`npx vitest run test/client/generated.test.ts -u\`. */
/* eslint-disable */
`;

export function openapiTypes({ paths, components }: OpenApi): string {
  const lines = Object.entries(paths).map(([path, methods]) => {
    const all = METHODS.map((method) => {
      const operation = methods[method];
      return operation === undefined
        ? `    ${method}?: never;`
        : `${comment(operation.summary, 4)}    ${method}: operations['${operation.operationId}'];`;
    });
    return `  ${JSON.stringify(path)}: {\n    parameters: { query?: never; header?: never; path?: never; cookie?: never };\n${all.join('\n')}\n  };`;
  });
  const operations = Object.values(paths)
    .flatMap((methods) => Object.values(methods))
    .map((operation) => `  ${operation.operationId}: ${operationType(operation)};`);
  const schemas = Object.entries(components.schemas ?? {}).map(([name, schema]) => `    ${name}: ${typeOf(schema, 4)};`);
  return `${HEAD}
export interface paths {
${lines.join('\n')}
}

export interface components {
  schemas: {
${schemas.join('\n')}
  };
}

export interface operations {
${operations.join('\n')}
}
`;
}

function operationType({ parameters = [], requestBody, responses }: Operation): string {
  const groups = ['query', 'header', 'path', 'cookie'].map((place) => {
    const own = parameters.filter((one) => one.in === place);
    if (own.length === 0) return `      ${place}?: never;`;
    const fields = own.map(
      ({ name, required, schema, description }) =>
        `${comment(description ?? schema.description, 8)}        ${key(name)}${required ? '' : '?'}: ${typeOf(schema, 8)};`,
    );
    return `      ${place}${own.some(({ required }) => required) ? '' : '?'}: {\n${fields.join('\n')}\n      };`;
  });
  const body =
    requestBody?.content === undefined
      ? '    requestBody?: never;'
      : `    requestBody${requestBody.required === true ? '' : '?'}: {\n${contentType(requestBody)}\n    };`;
  const answers = Object.entries(responses).map(([status, response]) => {
    const name = /^\d+$/.test(status) ? status : `'${status}'`;
    const content = response.content === undefined ? '        content?: never;' : contentType(response, 8);
    return `      ${name}: {\n        headers: { [name: string]: unknown };\n${content}\n      };`;
  });
  return `{\n    parameters: {\n${groups.join('\n')}\n    };\n${body}\n    responses: {\n${answers.join('\n')}\n    };\n  }`;
}

function contentType({ content = {} }: Content, indent = 6): string {
  const pad = ' '.repeat(indent);
  const types = Object.entries(content).map(
    ([type, { schema }]) => `${pad}  '${type}': ${schema === undefined ? 'unknown' : typeOf(schema, indent + 2)};`,
  );
  return `${pad}content: {\n${types.join('\n')}\n${pad}};`;
}

function typeOf(schema: Schema, indent: number): string {
  if (schema.$ref !== undefined) return `components['schemas']['${schema.$ref.split('/').at(-1)}']`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  const union = schema.anyOf ?? schema.oneOf;
  if (union !== undefined) return [...new Set(union.map((one) => parens(typeOf(one, indent))))].join(' | ');
  if (schema.allOf !== undefined) return schema.allOf.map((one) => parens(typeOf(one, indent))).join(' & ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type }, indent)).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return `${parens(typeOf(schema.items ?? {}, indent))}[]`;
    case 'object':
      return objectType(schema, indent);
    case undefined:
      return 'unknown';
    default:
      throw new Error(`a schema of type ${JSON.stringify(schema.type)} is not known here: ${JSON.stringify(schema).slice(0, 200)}`);
  }
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema, indent: number): string {
  const pad = ' '.repeat(indent + 2);
  const fields = Object.entries(properties).map(
    ([name, schema]) =>
      `${comment(schema.description, indent + 2)}${pad}${key(name)}${required.includes(name) ? '' : '?'}: ${typeOf(schema, indent + 2)};`,
  );
  const rest = typeof additionalProperties === 'object' ? [`${pad}[name: string]: ${typeOf(additionalProperties, indent + 2)};`] : [];
  const all = Object.keys(properties).length === 0 ? rest : fields;
  return all.length === 0 ? 'Record<string, never>' : `{\n${all.join('\n')}\n${' '.repeat(indent)}}`;
}

const parens = (type: string): string => (/^[^{]*[|&]/.test(type) ? `(${type})` : type);
const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));
const comment = (text: string | undefined, indent: number): string =>
  text === undefined ? '' : `${' '.repeat(indent)}/** ${text.replaceAll('*/', '* /').replaceAll(/\s*\n\s*/g, ' ')} */\n`;
