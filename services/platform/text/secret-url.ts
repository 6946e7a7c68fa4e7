import { z } from 'zod';

/** A URL that may hold a password. `read` answers with a fault, a text that begins with a verb, where it is not one. */
export const secretUrl = (code: string, read: (url: string) => object | { fault: string }) =>
  z
    .string()
    .check(({ value, issues }) => {
      const url = value === '' ? {} : read(value);
      if ('fault' in url) issues.push({ code: 'custom', input: value, message: String(url.fault), params: { code } });
    })
    .nullable()
    .meta({ secret: true });
