/** A collector that takes OTLP over HTTP as JSON, and keeps the spans. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';

/** As OTLP/JSON has it. Source: opentelemetry-proto, trace/v1/trace.proto. */
export interface SentSpan {
  service: string;
  name: string;
  /** `SpanKind` of the same source: 1 internal, 2 server, 4 producer, 5 consumer. */
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  events: Pick<SentSpan, 'name' | 'attributes'>[];
  status: { code?: number; message?: string };
}

export interface Collector {
  server: Server;
  url: string;
  spans: SentSpan[];
  /** All that came, as it came. */
  text(): string;
}

/** It ends with the test. */
export async function startCollector(): Promise<Collector> {
  const spans: SentSpan[] = [];
  let text = '';
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    expect(request.url).toBe('/v1/traces');
    text += body;
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      const service = resource.attributes.find(({ key }: { key: string }) => key === 'service.name').value.stringValue;
      for (const { spans: some } of scopeSpans) spans.push(...some.map((span: SentSpan) => ({ ...span, service })));
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, text: () => text };
}
