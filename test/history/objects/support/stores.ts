/** The stores that the conformance suite runs over. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { folderStore } from '../../../../services/history/objects/folder.ts';
import { type S3Options, s3Store } from '../../../../services/history/objects/s3.ts';
import type { ObjectStore } from '../../../../services/history/objects/store.ts';
import { silent } from '../../../broker/peers.ts';
import { type S3Server, type S3ServerOptions, startS3Server, TEST_ACCOUNT } from '../../../support/s3/server.ts';

/** Such as `https://key:secret@minio.example:9000/bucket`, with `?region=eu-central-1` where it is not us-east-1. The tests write below a prefix of their own. */
const REAL_SERVER = process.env.STOCKMESH_TEST_S3_URL;

/** Pauses are short. */
export const QUICK = { attempts: 5, backoffMs: 5, silenceMs: 30_000 };

/** A test server over a folder, which is closed after the test file. */
export async function serverOfTest(options: S3ServerOptions): Promise<S3Server> {
  const server = await startS3Server(options);
  afterAll(() => server.close());
  return server;
}

export function storeAt(server: S3Server, options: Partial<S3Options> = {}): ObjectStore {
  return s3Store({
    bucket: server.bucket,
    prefix: 'stockmesh/',
    region: 'us-east-1',
    endpoint: server.url,
    credentials: TEST_ACCOUNT,
    pathStyle: true,
    copies: join(server.objects.folder, '..', 'copies'),
    log: silent,
    patience: QUICK,
    ...options,
  });
}

interface NamedStore {
  name: string;
  store: ObjectStore;
  /** Whether `head` knows the sha256. */
  keepsChecksum: boolean;
}

export async function allStores(folder: string): Promise<NamedStore[]> {
  const server = await serverOfTest({ folder: join(folder, 'server'), pageSize: 7 });
  return [
    { name: 'a folder', store: folderStore({ folder: join(folder, 'store'), isPrivate: true }), keepsChecksum: false },
    { name: 'S3 (test server)', store: storeAt(server), keepsChecksum: true },
    ...(REAL_SERVER ? [{ name: 'S3 (STOCKMESH_TEST_S3_URL)', store: realStore(new URL(REAL_SERVER), folder), keepsChecksum: true }] : []),
  ];
}

export const hasRealServer = Boolean(REAL_SERVER);

function realStore(url: URL, folder: string): ObjectStore {
  return s3Store({
    bucket: url.pathname.slice(1),
    prefix: `stockmesh-test-${randomUUID()}/`,
    region: url.searchParams.get('region') ?? 'us-east-1',
    endpoint: url.origin,
    credentials: { accessKeyId: decodeURIComponent(url.username), secretAccessKey: decodeURIComponent(url.password) },
    pathStyle: true,
    copies: join(folder, 'copies-of-real-server'),
    log: silent,
  });
}
