/** Kinds of values that several sections of the configuration have. */
import { z } from 'zod';

export const count = (least = 0, most = Number.MAX_SAFE_INTEGER) => z.number().int().min(least).max(most);
/** In the unit that `config/default.yaml` names. */
export const duration = () => z.number().positive();
export const share = () => z.number().min(0).max(1);
export const text = () => z.string().min(1);
/** A path. */
export const file = () => text().nullable();
export const secret = () => z.string().nullable().meta({ secret: true });
/** With a least of 0 that is none, or any. */
export const port = (least = 1) => count(least, 65_535);

/** An error with its own code in place of the general one. */
export const because = (code: string, message: string) => ({ message, params: { code } });

/** A list in which each value is at most once. */
export const listOf = <Item extends z.ZodType<string>>(item: Item) =>
  z.array(item).refine((names) => new Set(names).size === names.length, because('config.duplicate_value', 'names one twice'));

/** What the two files of a server's own certificate lack of each other; undefined when nothing. */
export function missingOfPair({ cert_file, key_file }: { cert_file: string | null; key_file: string | null }) {
  if ((cert_file === null) === (key_file === null)) return undefined;
  const path = [cert_file === null ? 'cert_file' : 'key_file'];
  return { path, ...because('config.missing_value', 'a certificate needs its key, and a key its certificate') };
}

export const timeZone = text().refine(
  isTimeZone,
  because('config.bad_time_zone', 'is not a time zone; use an IANA name such as America/New_York'),
);

function isTimeZone(name: string): boolean {
  try {
    // Not Intl.DateTimeFormat, which takes 20 ms the first time.
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return !/^[+-]/.test(name);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
