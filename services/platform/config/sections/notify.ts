import { z } from 'zod';
import { EVENT_NAMES, SEVERITIES } from '../../outbox.ts';
import { named } from '../../text/name.ts';
import { because, count, duration, file, listOf, port, secret, text, timeZone } from '../fields.ts';

const address = z.email('must be an e-mail address, such as ops@example.com').max(254);

/** Characters of a secret that nobody can guess. */
const LEAST_SECRET = 32;

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of the day in quotes, such as "22:00"');

const receivers = z
  .strictObject({
    email: listOf(address)
      .refine((all) => all.length > 0, because('config.missing_value', 'must name at least one address'))
      .optional(),
    requester: z.literal(true).optional(),
    webhook: z
      .strictObject({
        url: z
          .string()
          .refine(
            (url) => /^https?:$/.test(URL.parse(url)?.protocol ?? ''),
            because('config.bad_url', 'must be an address that begins with http:// or https://'),
          )
          .meta({ secret: true }),
        format: z.enum(['slack', 'teams', 'discord', 'json']),
      })
      .optional(),
  })
  .refine(
    ({ email, requester, webhook }) => email !== undefined || requester !== undefined || webhook !== undefined,
    because('config.missing_value', 'must name who is told: email, requester or webhook'),
  );

const route = z.strictObject({
  name: named(),
  on: listOf(z.enum(EVENT_NAMES)).refine((names) => names.length > 0, because('config.missing_value', 'must name at least one event')),
  min_severity: z.enum(SEVERITIES).default('info'),
  to: receivers,
  group_by: listOf(z.enum(['name', 'subject', 'severity'])).optional(),
  wait: z.number().min(0).default(0),
  repeat: z.number().min(60).optional(),
  quiet: z
    .strictObject({
      from: clockTime,
      to: clockTime,
      time_zone: timeZone,
      except: listOf(z.enum(SEVERITIES)).default(['critical']),
    })
    .refine(({ from, to }) => from !== to, because('config.out_of_range', 'from and to are the same, which is no time at all'))
    .optional(),
});

/** Who is told of what. The keys are documented in `config/default.yaml`. */
export const notify = z
  .strictObject({
    routes: z
      .array(route)
      .refine(
        (all) => new Set(all.map(({ name }) => name)).size === all.length,
        because('config.duplicate_value', 'two routes have the same name'),
      ),
    poll_interval: duration(),
    backoff: z.array(z.number().positive()).min(1),
    give_up_after: duration(),
    daily_cap: count(1),
    keep_days: duration(),
    email: z.strictObject({
      from: address.nullable(),
      return_address: address.nullable(),
      smtp_host: text().nullable(),
      smtp_port: port(),
      smtp_tls: z.enum(['implicit', 'starttls', 'offered', 'none']),
      smtp_username: text().nullable(),
      smtp_password: secret(),
      smtp_ca_file: file(),
      sendmail: file(),
      answer_timeout: duration(),
      connections: count(1, 20),
    }),
    webhook_timeout: duration(),
    unsubscribe_secret: secret().refine(
      (text) => text === null || text.length >= LEAST_SECRET,
      because('config.out_of_range', `must have ${LEAST_SECRET} characters or more; "openssl rand -hex 32" makes one`),
    ),
  })
  .check(({ value: { routes, email }, issues }) => {
    const [first] = routes.filter(({ to }) => to.email !== undefined || to.requester !== undefined);
    const report = (key: string, message: string) =>
      issues.push({ code: 'custom', input: null, path: ['email', key], ...because('config.missing_value', message) });
    if (first !== undefined && email.from === null) report('from', `the route "${first.name}" sends e-mail, so it must name the sender`);
    if (first !== undefined && email.smtp_host === null && email.sendmail === null)
      report('smtp_host', `the route "${first.name}" sends e-mail, so this must name a mail server (or sendmail a program)`);
    if (email.smtp_host !== null && email.sendmail !== null)
      issues.push({
        code: 'custom',
        input: null,
        path: ['email', 'sendmail'],
        ...because('config.conflicting_keys', 'smtp_host names a mail server too; leave one of them out'),
      });
  });
