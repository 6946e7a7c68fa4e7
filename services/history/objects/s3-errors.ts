/** The errors of S3 and of the way to it, in the words of the port. Neither the error of the SDK nor its fields go on: they hold the access key and what was signed with it. */
import { codeOf, messageOf, PermanentError, StockmeshError, TransientError } from '../../platform/errors.ts';

/** Of the errors that S3 names and those of the SDK. */
const NO_ACCESS_KEY =
  'name an access key with history.store.s3.access_key_id and secret_access_key (STOCKMESH_S3_ACCESS_KEY_ID and STOCKMESH_S3_SECRET_ACCESS_KEY), or give this machine a role';
const WRONG_KEY =
  'check history.store.s3.access_key_id and secret_access_key (STOCKMESH_S3_ACCESS_KEY_ID and STOCKMESH_S3_SECRET_ACCESS_KEY)';
const NO_RIGHT =
  'the access key must be allowed s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects';
const NO_BUCKET = 'there is no such bucket: create it, or name another one with history.store.s3.bucket';
const OTHER_REGION = 'the bucket is in another region: name it with history.store.s3.region';
const BAD_CERTIFICATE = 'its certificate is not trusted: name the file of its authority in the variable NODE_EXTRA_CA_CERTS';
const NOT_S3 = 'what answers there does not speak S3: check history.store.s3.endpoint';

/** No later attempt mends them: the way out, by the name of the error. */
const REFUSED: Readonly<Record<string, string>> = {
  NoSuchBucket: NO_BUCKET,
  InvalidBucketName: NO_BUCKET,
  CredentialsProviderError: NO_ACCESS_KEY,
  InvalidAccessKeyId: WRONG_KEY,
  SignatureDoesNotMatch: WRONG_KEY,
  AccessDenied: NO_RIGHT,
  AllAccessDisabled: NO_RIGHT,
  RequestTimeTooSkewed: 'the clocks of this machine and of the server differ: set the clock of this machine',
  PermanentRedirect: OTHER_REGION,
  AuthorizationHeaderMalformed: OTHER_REGION,
  EntityTooLarge: 'the file is larger than the server takes in one piece (AWS: 5 GB)',
  DEPTH_ZERO_SELF_SIGNED_CERT: BAD_CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: BAD_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: BAD_CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: BAD_CERTIFICATE,
  CERT_HAS_EXPIRED: BAD_CERTIFICATE,
  ERR_TLS_CERT_ALTNAME_INVALID: BAD_CERTIFICATE,
  EPROTO: 'is it http:// or https://? Check history.store.s3.endpoint',
  HPE_INVALID_CONSTANT: NOT_S3,
};

/** Where an answer has no text, as that to HEAD. */
const REFUSED_BY_STATUS: Readonly<Record<number, string>> = { 301: OTHER_REGION, 401: WRONG_KEY, 403: `${WRONG_KEY}; ${NO_RIGHT}` };

/** Answers with a 4xx that may differ the next time: the body was damaged or cut on its way, another upload was first, a role's key is renewed. */
const TRANSIENT = new Set([
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'RequestTimeout',
  'ConditionalRequestConflict',
  'OperationAborted',
  'ExpiredToken',
  'ThrottlingException',
]);

const FULL = new Set(['XMinioStorageFull', 'QuotaExceeded', 'InsufficientStorage']);

/** What the SDK throws. */
interface SdkError extends Error {
  $metadata?: { httpStatusCode?: number; requestId?: string };
  $response?: { statusCode?: number; headers?: Record<string, string> };
}

export const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** Undefined where no answer came. */
export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = (error ?? {}) as Partial<SdkError>;
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}

/** `what`: such as `put a/data.parquet`. `where`: such as `the bucket quotes at s3.example`. */
export function s3Failure(error: unknown, what: string, where: string): StockmeshError {
  if (error instanceof StockmeshError) return error;
  const [name, status] = [nameOf(error), statusOf(error)];
  const said = `${what} in ${where}: ${describe(error, name, status)}`;
  if (status === 412) return new TransientError('objects.changed', `${said}: the object was stored anew or deleted meanwhile`);
  if (name === 'NoSuchKey' || name === 'NotFound') return new PermanentError('objects.missing', `${said}: there is no such object`);
  if (name === 'InvalidRange' || status === 416) return new PermanentError('objects.bad_range', said);
  if (FULL.has(name) || status === 507)
    return new TransientError(
      'objects.unavailable',
      `${said}: the server has no room; free space there, then the object is stored with the next attempt`,
    );
  const wayOut = REFUSED[name] ?? REFUSED[codeOf(error)] ?? REFUSED_BY_STATUS[status ?? 0];
  if (wayOut !== undefined) return new PermanentError('objects.refused', `${said}: ${wayOut}`);
  if (TRANSIENT.has(name) || status === undefined || status === 429 || status >= 500) {
    const after = Number((error as SdkError).$response?.headers?.['retry-after']);
    return new TransientError('objects.unavailable', said, after > 0 ? { retryAfterMs: after * 1_000 } : {});
  }
  return new PermanentError('objects.refused', `${said}${status < 400 ? `: ${NOT_S3}` : ''}`);
}

/** Such as `SlowDown (HTTP 503): Please reduce your request rate`. */
function describe(error: unknown, name: string, status: number | undefined): string {
  const text = messageOf(error).slice(0, 300);
  const code = name === 'Error' || name === '' ? codeOf(error) : name;
  return `${code}${status === undefined ? '' : ` (HTTP ${status})`}${text === '' || text === code ? '' : `: ${text}`}`;
}

/** Errors: `PermanentError('objects.refused')`, for an answer that no server of S3 gives. */
export function notS3(what: string, where: string): PermanentError {
  return new PermanentError('objects.refused', `${what} in ${where}: ${NOT_S3}`);
}
