/**
 * Traces of OpenTelemetry: from a login over its transaction to the claim, the run and the commit of each job that it made. The context travels as a `traceparent` of W3C Trace Context, in the
 * message and in the row of the job. Nothing of OpenTelemetry is loaded before `startTracing`, and only a trace that is sampled costs anything: all others have no context at all.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Attributes, Context, Span, SpanKind, Tracer } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Config } from '../config/load.ts';
import { codeOf, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';

/** Spans that wait for the exporter or are on their way, some 2 KB each. More are lost and counted. */
const MOST_WAITING = 2_048;
/** Milliseconds that spans wait for others. */
const EXPORT_INTERVAL_MS = 1_000;
/** Milliseconds for one export with its retries. */
const EXPORT_TIMEOUT_MS = 10_000;
/** Milliseconds that the end of a service waits for its last spans. */
const LAST_SPANS_MS = 2_000;

/** W3C Trace Context, section 3.2.2: version, trace id, parent id, flags. A later version may have more behind. */
const TRACEPARENT =
  /^(?:00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?)$/;

/** A span that is recorded. */
export interface OpenSpan {
  /** Its context: the parent of what it causes. 55 ASCII characters. */
  readonly traceparent: string;
  /** Something that happened within it. */
  event(name: string, attributes: Attributes): void;
  /** Ends it; with an error it has failed. Of the error only the code is kept: the text may name a user. */
  end(error?: unknown): void;
}

interface SpanOptions {
  kind?: keyof typeof SpanKind;
  /** Never a user's name and nothing of a payload: traces go to another system. */
  attributes?: Attributes;
  /** When it began, as `performance.now()`; by default now. */
  startTime?: number;
}

interface Active {
  api: typeof import('@opentelemetry/api');
  tracer: Tracer;
}

let active: Active | undefined;
const counts = { exported: 0, lost: 0 };

/** Spans of this process by what became of them. */
export const spanCounts = (): Readonly<typeof counts> => counts;

/**
 * Loads OpenTelemetry and exports the spans of this process from now on, when `monitoring.traces.endpoint` is set. Gives the function that exports the last ones and ends it; it
 * waits for a collector that does not answer for at most two seconds.
 */
export async function startTracing(
  { service, instance, version }: { service: string; instance: string; version: string },
  { endpoint, sample }: Config['monitoring']['traces'],
  log: Logger,
): Promise<() => Promise<void>> {
  if (endpoint === null) return async () => {};
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS });
  const batches = (counted: SpanExporter): SpanProcessor =>
    new sdk.BatchSpanProcessor({ exporter: counted, maxQueueSize: MOST_WAITING, scheduledDelayMillis: EXPORT_INTERVAL_MS });
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'stockmesh',
      'service.name': service,
      'service.instance.id': instance,
      'service.version': version,
    }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(sample) }),
    // Without what may stand before the host: the log is read by many.
    spanProcessors: [countedAndBounded(exporter, batches, new URL(url).host, log)],
  });
  log.info({ sample }, `traces go to the collector ${new URL(url).host}`);
  active = { api, tracer: provider.getTracer('stockmesh', version) };
  return async () => {
    active = undefined;
    await Promise.race([
      provider.shutdown().catch((error: unknown) => log.warn({ code: codeOf(error) }, `the last spans are lost: ${messageOf(error)}`)),
      delay(LAST_SPANS_MS, undefined, { ref: false }),
    ]);
  };
}

/** Loses spans that the exporter does not take in time, in place of keeping them, and counts what became of each. An outage is told once. */
function countedAndBounded(
  exporter: SpanExporter,
  batches: (exporter: SpanExporter) => SpanProcessor,
  collector: string,
  log: Logger,
): SpanProcessor {
  let waiting = 0;
  let isAway = false;
  const processor = batches({
    export(spans, done) {
      exporter.export(spans, (result) => {
        waiting -= spans.length;
        // 0 is success (`ExportResultCode` of @opentelemetry/core).
        counts[result.code === 0 ? 'exported' : 'lost'] += spans.length;
        if (result.code !== 0 && !isAway)
          log.warn(
            { code: codeOf(result.error) },
            `the collector ${collector} takes no spans (${messageOf(result.error)}): they are lost until it answers`,
          );
        else if (result.code === 0 && isAway) log.info(`the collector ${collector} takes spans again`);
        isAway = result.code !== 0;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  });
  return {
    onStart: (span, parent) => processor.onStart(span, parent),
    onEnd(span: ReadableSpan) {
      if (waiting >= MOST_WAITING) {
        counts.lost++;
        return;
      }
      waiting++;
      processor.onEnd(span);
    },
    forceFlush: () => processor.forceFlush(),
    shutdown: () => processor.shutdown(),
  };
}

/**
 * Begins a span where work comes in. `parent`: the context that came with it; one that is not valid is left out (W3C Trace Context, section 4.3). Undefined when the trace is not sampled:
 * the parent says so, or `monitoring.traces.sample` decides.
 */
export function startTrace(name: string, parent: string | undefined, options?: SpanOptions): OpenSpan | undefined {
  return active && begin(active, name, parent, options);
}

/** Begins a span within a sampled trace; undefined without one. */
export function startSpan(name: string, parent: string | null | undefined, options?: SpanOptions): OpenSpan | undefined {
  return active && typeof parent === 'string' ? begin(active, name, parent, options) : undefined;
}

function begin(
  { api, tracer }: Active,
  name: string,
  parent: string | undefined,
  { kind = 'INTERNAL', attributes, startTime }: SpanOptions = {},
): OpenSpan | undefined {
  const options = {
    kind: api.SpanKind[kind],
    ...(attributes === undefined ? {} : { attributes }),
    ...(startTime === undefined ? {} : { startTime }),
  };
  const span = tracer.startSpan(name, options, contextOf(api, parent));
  return span.isRecording() ? openSpan(api, span) : undefined;
}

function contextOf(api: Active['api'], traceparent: string | undefined): Context {
  const [, ...parts] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  const [traceId, spanId, flags] = parts.filter((part) => part !== undefined);
  if (traceId === undefined || spanId === undefined || flags === undefined) return api.ROOT_CONTEXT;
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  return api.isSpanContextValid(context) ? api.trace.setSpanContext(api.ROOT_CONTEXT, context) : api.ROOT_CONTEXT;
}

function openSpan({ SpanStatusCode }: Active['api'], span: Span): OpenSpan {
  const { traceId, spanId } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-01`,
    event: (name, attributes) => void span.addEvent(name, attributes),
    end(error) {
      if (error !== undefined) {
        const code = codeOf(error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: code }).setAttribute('error.type', code);
      }
      span.end();
    },
  };
}

/** Ends the span with the work, and as it ends. */
export async function spanOf<T>(span: OpenSpan, work: Promise<T>): Promise<T> {
  try {
    const result = await work;
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}
