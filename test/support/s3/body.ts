/** The body of an upload as S3 reads it: `aws-chunked` taken apart, checksums compared. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { crc32 } from 'node:zlib';
import { S3Refusal } from './refusal.ts';

export interface Upload {
  bytes: number;
  /** Hex. */
  md5: string;
  sha256: string;
}

/**
 * Hands the bytes of the body to `write`, and compares them with what the request says of them. Errors: `S3Refusal` (`BadDigest`, `XAmzContentSHA256Mismatch`,
 * `IncompleteBody`); that of the connection when it is cut.
 */
export async function receive(request: IncomingMessage, write: (chunk: Buffer) => Promise<void>): Promise<Upload> {
  const payload = String(request.headers['x-amz-content-sha256']);
  const isChunked = payload === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  if (payload.startsWith('STREAMING-') && !isChunked) throw new S3Refusal(501, 'NotImplemented', 'Signed chunks are not implemented.');
  const trailers: Record<string, string> = {};
  const md5 = createHash('md5');
  const sha256 = createHash('sha256');
  let sum = 0;
  let bytes = 0;
  for await (const chunk of isChunked ? unchunked(request, trailers) : (request as AsyncIterable<Buffer>)) {
    md5.update(chunk);
    sha256.update(chunk);
    sum = crc32(chunk, sum);
    bytes += chunk.length;
    await write(chunk);
  }
  const digest = sha256.digest();
  const announced = request.headers[isChunked ? 'x-amz-decoded-content-length' : 'content-length'];
  if (announced === undefined) throw new S3Refusal(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  if (bytes !== Number(announced))
    throw new S3Refusal(400, 'IncompleteBody', 'You did not provide the number of bytes specified by the Content-Length HTTP header');
  if (/^[0-9a-f]{64}$/.test(payload) && payload !== digest.toString('hex'))
    throw new S3Refusal(400, 'XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.");
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(sum);
  const computed = { 'x-amz-checksum-sha256': digest.toString('base64'), 'x-amz-checksum-crc32': crc.toString('base64') };
  for (const [name, value] of Object.entries(computed)) {
    const given = request.headers[name] ?? trailers[name];
    if (given !== undefined && given !== value)
      throw new S3Refusal(400, 'BadDigest', `The ${name} you specified did not match the calculated checksum.`);
  }
  return { bytes, md5: md5.digest('hex'), sha256: digest.toString('hex') };
}

/** `size in hex` CRLF bytes CRLF …, `0` CRLF, then the trailers as header lines and an empty line. */
async function* unchunked(request: IncomingMessage, trailers: Record<string, string>): AsyncGenerator<Buffer> {
  let buffered = Buffer.alloc(0);
  const source = request[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const more = async (): Promise<void> => {
    const { value, done } = await source.next();
    if (done) throw new S3Refusal(400, 'IncompleteBody', 'The body ends within a chunk.');
    buffered = Buffer.concat([buffered, value]);
  };
  const line = async (): Promise<string> => {
    let end = buffered.indexOf('\r\n');
    for (; end < 0; end = buffered.indexOf('\r\n')) await more();
    const text = buffered.toString('latin1', 0, end);
    buffered = buffered.subarray(end + 2);
    return text;
  };
  for (;;) {
    const size = Number.parseInt(await line(), 16);
    if (!Number.isInteger(size)) throw new S3Refusal(400, 'InvalidRequest', 'The body is not in chunks.');
    if (size === 0) break;
    for (let left = size; left > 0; ) {
      if (buffered.length === 0) await more();
      const part = buffered.subarray(0, left);
      buffered = buffered.subarray(part.length);
      left -= part.length;
      yield part;
    }
    await line();
  }
  for (let text = await line(); text !== ''; text = await line()) {
    const at = text.indexOf(':');
    trailers[text.slice(0, at).toLowerCase()] = text.slice(at + 1).trim();
  }
}
