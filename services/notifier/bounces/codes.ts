/** Codes of mail servers: `5.1.1` (RFC 3463), or `550` (RFC 5321) where there is no other. */

/** Not a part of an address such as 5.9.1.2. */
const ENHANCED = /(?<![\d.[])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)/;

export const enhancedIn = (text: string): string | undefined => ENHANCED.exec(text)?.[1];

/** A queue that gave up after days did not hear that the address is wrong, whatever code it writes. */
export const EXPIRED = /\b(retry time(out| limit)? (has been )?exceeded|in the queue too long|delivery time expired)/i;
/** Delivery time expired: RFC 3463, 3.5. */
export const EXPIRED_CODE = '4.4.7';

/** 5 is for good (RFC 3463, 2). */
export const isPermanent = (code: string | null): boolean => code?.startsWith('5') === true;
