/** Listings of a bucket: the objects, and what interrupted processes have left behind. */
import type { ListMultipartUploadsCommandOutput } from '@aws-sdk/client-s3';
import { OWN, type S3Connection } from './s3-connection.ts';
import { statusOf } from './s3-errors.ts';

interface Listed {
  key: string;
  bytes: number;
  modified: Temporal.Instant;
}

/** All keys below the bucket's prefix that begin so, a page at a time. */
export async function* pagesOf(connection: S3Connection, prefix: string, signal: AbortSignal): AsyncGenerator<Listed[]> {
  const { bucket: Bucket, prefix: folder } = connection.bucket;
  let token: string | undefined;
  do {
    const page = await connection.attempt('list objects', signal, ({ sdk, client }) =>
      client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix: folder + prefix, ContinuationToken: token }), { abortSignal: signal }),
    );
    yield (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
      key: Key.slice(folder.length),
      bytes: Size,
      modified: Temporal.Instant.fromEpochMilliseconds(LastModified?.getTime() ?? 0),
    }));
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

/**
 * Ends uploads in parts that nobody ended: they cost money and are in no list of objects. Puts here are in one piece, so they are of another program that wrote to the same
 * place, and only those of files named as ours are touched. The number of them.
 */
export async function abortUploads(connection: S3Connection, before: Temporal.Instant, signal: AbortSignal): Promise<number> {
  const { bucket: Bucket, prefix: Prefix } = connection.bucket;
  let [keyMarker, idMarker]: (string | undefined)[] = [];
  let aborted = 0;
  do {
    const page = await connection.attempt<Partial<ListMultipartUploadsCommandOutput>>(
      'list unfinished uploads',
      signal,
      async ({ sdk, client }) => {
        try {
          return await client.send(
            new sdk.ListMultipartUploadsCommand({ Bucket, Prefix, KeyMarker: keyMarker, UploadIdMarker: idMarker }),
            {
              abortSignal: signal,
            },
          );
        } catch (error) {
          // A server without uploads in parts has none that are unfinished.
          if (statusOf(error) === 501 || statusOf(error) === 405) return {};
          throw error;
        }
      },
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!Key?.endsWith('/data.parquet') || !Initiated || Initiated.getTime() >= before.epochMilliseconds) continue;
      await connection.attempt(`end the upload of ${Key}`, signal, ({ sdk, client }) =>
        client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { abortSignal: signal }),
      );
      aborted++;
    }
    [keyMarker, idMarker] = page.IsTruncated ? [page.NextKeyMarker, page.NextUploadIdMarker] : [];
  } while (keyMarker !== undefined);
  return aborted;
}

/** Deletes what trying out the server's conditions has left behind. The number of them. */
export async function deleteTries(connection: S3Connection, before: Temporal.Instant, signal: AbortSignal): Promise<number> {
  const { bucket: Bucket, prefix } = connection.bucket;
  let deleted = 0;
  for await (const page of pagesOf(connection, OWN, signal))
    for (const { key, modified } of page) {
      if (Temporal.Instant.compare(modified, before) >= 0) continue;
      await connection.attempt(`delete ${key}`, signal, ({ sdk, client }) =>
        client.send(new sdk.DeleteObjectCommand({ Bucket, Key: prefix + key }), { abortSignal: signal }),
      );
      deleted++;
    }
  return deleted;
}
