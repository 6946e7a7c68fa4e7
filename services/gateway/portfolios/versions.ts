/** The headers by which two who change the same portfolio notice each other (RFC 9110, 8.8.3 and 13.1.1). */
import { z } from 'zod';

export const ifMatch = z.object({
  'if-match': z
    .string()
    .max(200)
    .optional()
    .describe('`etag` of the version that the change was made from: when it is not the present one, the answer is 412'),
});

export const etagOf = (version: string): string => `"${version}"`;
