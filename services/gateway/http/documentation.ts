/** The OpenAPI document, made from the routes' schemas, and its pages. */
import swagger, { type SwaggerTransformObject } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { VERSION } from '../../platform/lifecycle.ts';
import { SESSION_COOKIE } from '../auth/sessions.ts';
import type { App } from './app.ts';
import { DOCS_POLICY } from './headers.ts';

/** A named schema is there twice, as requests and as answers have it, whether or not it is used as both. One that only such a schema uses is not used either. */
const transformObject: SwaggerTransformObject = (input) => {
  const document = jsonSchemaTransformObject(input) as { components: { schemas: Record<string, unknown> } };
  const { schemas } = document.components;
  for (let unused = Object.keys(schemas); unused.length > 0; ) {
    const text = JSON.stringify(document);
    unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`));
    for (const name of unused) delete schemas[name];
  }
  return document as ReturnType<SwaggerTransformObject>;
};

/** To be called before the routes are added. */
export async function documentation(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'stockmesh',
        version: VERSION,
        description: 'Jobs, market data and the live stream of a mesh. Every error is a problem (RFC 9457) with a stable code.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'The gateway that gave this document' }],
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE, description: 'Of POST /v1/session, for browsers' },
        },
      },
      security: [{ key: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject,
  });
  // The page asks no other server whether the document is valid.
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_POLICY, uiConfig: { validatorUrl: null } });
  app.get('/openapi.json', { schema: { hide: true } }, (_, reply) =>
    reply.type('application/json').serializer(JSON.stringify).send(app.swagger()),
  );
}
