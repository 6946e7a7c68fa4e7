/**
 * Checks the signature of a request to S3, in the Authorization header. Source: "Signature Calculations for the Authorization Header" of the Amazon S3 API reference
 * (AWS Signature Version 4). Written from the specification, so that a client's own signing is not compared with itself.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { S3Refusal } from './refusal.ts';

/** Milliseconds that the clocks of client and server may differ. */
const MAX_SKEW_MS = 15 * 60_000;

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

export function checkSignature(request: IncomingMessage, account: { accessKeyId: string; secretAccessKey: string }, now: Date): void {
  const parsed = AUTHORIZATION.exec(request.headers.authorization ?? '');
  if (parsed === null) throw new S3Refusal(403, 'AccessDenied', 'Access Denied');
  const [, accessKeyId, day, region, signedNames, signature] = parsed as unknown as [string, string, string, string, string, string];
  if (accessKeyId !== account.accessKeyId)
    throw new S3Refusal(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.');
  const stamp = String(request.headers['x-amz-date']);
  const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(now.getTime() - at) < MAX_SKEW_MS))
    throw new S3Refusal(403, 'RequestTimeTooSkewed', 'The difference between the request time and the server time is too large.');

  const [path, query = ''] = request.url!.split('?') as [string, string?];
  const names = signedNames.split(';');
  const mustBeSigned = Object.keys(request.headers).filter((name) => name === 'host' || name.startsWith('x-amz-'));
  if (mustBeSigned.some((name) => !names.includes(name)))
    throw new S3Refusal(403, 'AccessDenied', 'There were headers present in the request which were not signed');
  const canonicalQuery = query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => (part.includes('=') ? part : `${part}=`))
    .sort()
    .join('&');
  const canonical = [
    request.method,
    path,
    canonicalQuery,
    ...names.map((name) => `${name}:${String(request.headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    signedNames,
    request.headers['x-amz-content-sha256'],
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const key = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${account.secretAccessKey}`, day), region));
  if (!timingSafeEqual(hmac(key, toSign), Buffer.from(signature, 'hex')))
    throw new S3Refusal(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
}
