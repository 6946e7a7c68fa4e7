/**
 * A server that speaks S3 with what the object store needs of it, and checks what a lenient one does not: signatures, checksums, conditions. With faults on demand.
 * Source of the answers: the Amazon S3 API reference (PutObject, GetObject, ListObjectsV2, ListMultipartUploads, "Error responses").
 */
import { createReadStream, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { receive } from './body.ts';
import { type Fault, Faults, type Operation } from './faults.ts';
import { ObjectsOnDisk, type S3Object } from './objects.ts';
import { S3Refusal } from './refusal.ts';
import { checkSignature } from './signature.ts';

export const TEST_ACCOUNT = { accessKeyId: 'AKIATESTTESTTESTTEST', secretAccessKey: 'test/secret+key' };

export interface S3ServerOptions {
  folder: string;
  bucket?: string;
  /** 0: any free one. */
  port?: number;
  /** `ignored`: If-Match and If-None-Match have no effect. `refused`: they are answered with 501. As servers of other makers do. */
  conditions?: 'honoured' | 'ignored' | 'refused';
  /** Keys of a page. */
  pageSize?: number;
  now?: () => Date;
}

export interface S3Server {
  /** Such as `http://127.0.0.1:39123`. */
  url: string;
  bucket: string;
  faults: Faults;
  /** In the order in which they began. */
  requests: { operation: Operation; key: string; headers: IncomingMessage['headers'] }[];
  objects: ObjectsOnDisk;
  uploads: { key: string; id: string; initiated: string }[];
  close(): Promise<void>;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  operation: Operation;
  key: string;
  query: URLSearchParams;
  fault: Fault | undefined;
}

export async function startS3Server(options: S3ServerOptions): Promise<S3Server> {
  const { bucket = 'quotes', conditions = 'honoured', pageSize = 1_000, now = () => new Date() } = options;
  const objects = new ObjectsOnDisk(options.folder);
  const faults = new Faults();
  const requests: S3Server['requests'] = [];
  const uploads: S3Server['uploads'] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url!, 'http://server');
    const [, asked = '', ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const operation = operationOf(request.method!, key, query);
    requests.push({ operation, key, headers: request.headers });
    checkSignature(request, TEST_ACCOUNT, now());
    const fault = faults.take(operation);
    if (fault?.kind === 'silent' && fault.after === 0) return;
    if (fault?.kind === 'answer') {
      if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter);
      throw new S3Refusal(fault.status, fault.code, 'Injected by the test');
    }
    if (asked !== bucket) throw new S3Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist');
    const exchange = { request, response, operation, key, query, fault };
    if (operation === 'PUT') await put(exchange);
    else if (operation === 'GET' || operation === 'HEAD') await give(exchange);
    else if (operation === 'LIST') list(exchange);
    else if (operation === 'UPLOADS') listUploads(exchange);
    else remove(exchange);
  }

  async function put({ request, response, key, fault }: Exchange): Promise<void> {
    const before = objects.get(key);
    checkConditions(request, before);
    const file = objects.newBody();
    const body = await open(file, 'wx');
    let received = 0;
    try {
      const { bytes, md5, sha256 } = await receive(request, async (chunk) => {
        received += chunk.length;
        if (fault?.kind === 'cut' && received >= fault.after) throw new Error('the connection is cut by the test');
        await body.writeFile(chunk);
      });
      // Another upload has replaced the object meanwhile, and both had a condition.
      if (isConditional(request) && objects.get(key) !== before)
        throw new S3Refusal(409, 'ConditionalRequestConflict', 'A conflicting conditional operation is in progress.');
      const kept = fault?.kind === 'short' ? fault.keep : bytes;
      await body.truncate(kept);
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => name.startsWith('x-amz-meta-') || name === 'content-type'),
      ) as Record<string, string>;
      objects.put({ key, file, bytes: kept, etag: `"${md5}"`, sha256, headers, modified: now().toISOString() });
      if (fault?.kind === 'cut-answer') response.destroy();
      else response.writeHead(200, { etag: `"${md5}"` }).end();
    } catch (error) {
      rmSync(file);
      throw error;
    } finally {
      await body.close();
    }
  }

  const isConditional = ({ headers }: IncomingMessage): boolean =>
    conditions === 'honoured' && (headers['if-match'] ?? headers['if-none-match']) !== undefined;

  function checkConditions(request: IncomingMessage, there: S3Object | undefined): void {
    const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
    if (conditions === 'refused' && (match ?? noneMatch) !== undefined)
      throw new S3Refusal(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented');
    if (conditions !== 'honoured') return;
    if (match !== undefined && there === undefined) throw new S3Refusal(404, 'NoSuchKey', 'The specified key does not exist.');
    if ((match !== undefined && match !== there?.etag) || (noneMatch === '*' && there !== undefined))
      throw new S3Refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
  }

  async function give({ request, response, operation, key, fault }: Exchange): Promise<void> {
    const object = objects.get(key);
    if (object === undefined) throw new S3Refusal(404, 'NoSuchKey', 'The specified key does not exist.');
    if (request.headers['if-match'] !== undefined) checkConditions(request, object);
    const range = rangeOf(request.headers.range, object.bytes);
    const [start, end] = range ?? [0, object.bytes - 1];
    response.writeHead(range === undefined ? 200 : 206, {
      ...object.headers,
      etag: object.etag,
      'last-modified': new Date(object.modified).toUTCString(),
      'content-length': end - start + 1,
      ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${object.bytes}` }),
    });
    if (operation === 'HEAD' || object.bytes === 0) {
      response.end();
      return;
    }
    // At once: the body is deleted when the object is replaced.
    const fd = openSync(object.file, 'r');
    if (fault?.kind !== 'cut' && fault?.kind !== 'silent') return pipeline(createReadStream('', { fd, start, end }), response);
    const part = createReadStream('', { fd, start, end: start + fault.after - 1 });
    await pipeline(part, response, { end: false });
    if (fault.kind === 'cut') response.destroy();
  }

  function list({ response, query }: Exchange): void {
    if (query.get('list-type') !== '2')
      throw new S3Refusal(501, 'NotImplemented', 'Only the second version of the listing is implemented.');
    const prefix = query.get('prefix') ?? '';
    const token = query.get('continuation-token');
    const after = token === null ? '' : Buffer.from(token, 'base64url').toString();
    const size = Math.min(Number(query.get('max-keys') ?? pageSize), pageSize);
    const found = objects.startingWith(prefix);
    const start = found.findIndex(({ key }) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
    const page = start < 0 ? [] : found.slice(start, start + size);
    const isLast = start < 0 || start + size >= found.length;
    const next = isLast ? '' : `<NextContinuationToken>${Buffer.from(page.at(-1)!.key).toString('base64url')}</NextContinuationToken>`;
    const contents = page.map(
      ({ key, bytes, etag, modified }) =>
        `<Contents><Key>${xml(key)}</Key><LastModified>${modified}</LastModified><ETag>${xml(etag)}</ETag><Size>${bytes}</Size></Contents>`,
    );
    sendXml(
      response,
      200,
      `<ListBucketResult><Name>${xml(bucket)}</Name><Prefix>${xml(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><IsTruncated>${!isLast}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
    );
  }

  function listUploads({ response, query }: Exchange): void {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('upload-id-marker') ?? '';
    const found = uploads.filter(({ key, id }) => key.startsWith(prefix) && id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
    const page = found.slice(0, pageSize);
    const last = page.at(-1);
    const next =
      found.length === page.length
        ? ''
        : `<NextKeyMarker>${xml(last!.key)}</NextKeyMarker><NextUploadIdMarker>${last!.id}</NextUploadIdMarker>`;
    const entries = page.map(
      ({ key, id, initiated }) => `<Upload><Key>${xml(key)}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`,
    );
    sendXml(
      response,
      200,
      `<ListMultipartUploadsResult><Bucket>${xml(bucket)}</Bucket><IsTruncated>${next !== ''}</IsTruncated>${next}${entries.join('')}</ListMultipartUploadsResult>`,
    );
  }

  function remove({ response, operation, key, query }: Exchange): void {
    if (operation === 'ABORT') {
      const index = uploads.findIndex(({ id }) => id === query.get('uploadId'));
      if (index < 0) throw new S3Refusal(404, 'NoSuchUpload', 'The specified upload does not exist.');
      uploads.splice(index, 1);
    } else objects.delete(key);
    response.writeHead(204).end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof S3Refusal) || response.headersSent) {
        response.destroy();
        return;
      }
      // What is still on its way is read, else the client would meet a cut connection in place of the answer.
      request.resume();
      sendXml(response, error.status, `<Error><Code>${error.code}</Code><Message>${xml(error.message)}</Message></Error>`);
    });
  });
  await new Promise<void>((listening) => server.listen(options.port ?? 0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bucket,
    faults,
    requests,
    objects,
    uploads,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function operationOf(method: string, key: string, query: URLSearchParams): Operation {
  if (method === 'GET' && key === '') return query.has('uploads') ? 'UPLOADS' : 'LIST';
  if (method === 'DELETE') return query.has('uploadId') ? 'ABORT' : 'DELETE';
  if (method === 'PUT' || method === 'GET' || method === 'HEAD') return method;
  throw new S3Refusal(501, 'NotImplemented', `${method} is not implemented.`);
}

/** First and last byte; undefined for the whole object. */
function rangeOf(header: string | undefined, bytes: number): [start: number, end: number] | undefined {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === undefined || to === undefined) return undefined;
  const start = from === '' ? Math.max(0, bytes - Number(to)) : Number(from);
  const end = from === '' || to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1);
  if (start >= bytes) throw new S3Refusal(416, 'InvalidRange', 'The requested range is not satisfiable');
  return end < start ? undefined : [start, end];
}

function sendXml(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`);
}

const xml = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
