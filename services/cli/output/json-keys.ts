/** The keys of each document that `--json` prints, for `--help` and for authors of scripts. Keys are added, never removed or renamed. Times are ISO 8601 in UTC. */
import type { Command } from 'commander';
import type { JobType } from '../../job-types/job-type.ts';
import { OPERATE_KEYS } from '../operate/json-keys.ts';
import { fields } from './table.ts';

type Keys = Readonly<Record<string, string>>;

const waited: Keys = {
  ok: 'true when all requested jobs are completed',
  elapsed_ms: 'from the start to the end of the last job',
  jobs: '[{id, type, symbol, state, attempt, source, bars, written, through, stale, simulated, signal, confidence, warnings, mode, eligible, kept, ms, fresh_after_ms, reason, items}]',
  skipped: '[{symbol, reason}] that needed no job',
  refused: '[{symbol, reason}] whose queue was full',
  prices:
    '[{symbol, state, sessions_behind, reason, unknown, simulated}] as they are in the end; state: fresh, outdated (the sources have nothing newer), stale or missing; unknown: their last answer was a failure',
};
const changed: Keys = {
  ok: 'true',
  announced: 'false when the broker cannot be reached: the workers find the jobs by polling',
  changes: '[{id, type, symbol, state, attempt, worker, reason}], the job itself first',
};

const skippedToo: Keys = {
  outdated: 'of these: the sources were asked lately and have nothing newer',
  missing: 'of these: the sources were asked lately and have nothing at all',
  unknown: 'of these: the answer of the sources was a failure, and they are not asked again yet',
};
const answered: Keys = {
  published_at: 'when',
  total: 'symbols held and watched',
  queued: 'of these: symbols with queued jobs',
  fresh: 'of these: symbols that were fresh already',
  ...skippedToo,
  joined: 'of the queued ones: requested before by another user',
  ...waited,
};
const requested: Keys = {
  ok: 'true when nothing was refused',
  announced: 'false when the broker cannot be reached: the workers find the jobs by polling',
  jobs: '[{id, type, symbol, state, queue, priority, score, outcome}], outcome: queued or joined',
  refused: '[{symbol, reason}] whose queue was full',
};

/** The keys of the commands that job types define are the same for all. */
function requestKeys(types: readonly JobType[]): Record<string, Keys> {
  const verbs = types.flatMap(({ cli }) => (cli === undefined ? [] : [cli.verb]));
  return Object.fromEntries(
    verbs.flatMap((verb) => [
      [verb, requested],
      [`${verb} --wait`, waited],
    ]),
  );
}

const accepted = '{status, job_id, message, status_url, total_items, outcome}, outcome: queued or joined';
const downloads: Keys = {
  ok: 'true',
  job_id: 'the job that stands for the download',
  total_items: 'objects of the download',
  outcome: 'queued, or joined when the same download was asked for before',
  message: 'the download in words',
  status: 'accepted',
  status_url: 'the path of the job at the gateway',
};
const watched: Keys = {
  ok: 'true when all objects are there, empty or skipped',
  jobs: `[${accepted}, and job: {job_id, status, progress: {completed, skipped, no_data, failed, not_entitled, not_yet, total, percentage}, eta_seconds, created_at, updated_at, error_message}, failures: [{key, state, attempts, rows, bytes, reason}], the first ten]`,
};
const previewed: Keys = {
  dry_run: 'true: nothing was asked for',
  total_items: 'objects of the download',
  counts: '{state: objects}, by the worst state of their days',
  to_download: 'objects that would be downloaded',
  expected: '{download, skipped, no_data, not_yet}: objects by what would become of them; only those of download take requests',
  source: 'the source that would be asked, or null',
  calls: 'requests to it',
  estimated_rows: 'by like objects that are stored, or null',
  estimated_bytes: 'the same',
  estimated_seconds: 'by the pace of the newest like objects, or null',
  warnings: '[text]',
  objects: '[{key, days, state, expected, download, from}]; from: before that it is not downloaded, or null',
};
const coveredDay =
  '{date, state, key, rows, reason}; state: complete, degraded, partial, empty, failed, not_entitled, pending, missing or closed';
const storedObject =
  'key, root, dataset, schema, interval, max_dte, base_pct, from, to, rows, bytes, sha256, is_partial, degraded, source, as_of, stored_at';

const HISTORY_KEYS = {
  'history option': downloads,
  'history option --wait': watched,
  'history option --dry-run': previewed,
  'history stock': downloads,
  'history stock --wait': watched,
  'history stock --dry-run': previewed,
  'history coverage': {
    root: 'in upper case',
    dataset: 'option or stock',
    schema: 'quote, ohlc or eod',
    interval: 'such as 15m; 1d of eod',
    from: 'first day',
    to: 'last day',
    counts: '{state: days}',
    days: `[${coveredDay}]`,
  },
  'history gaps': { ok: 'true when nothing is missing', days: `[${coveredDay}] that are missing, failed or partial` },
  'history gaps --fill': { ok: 'true', days: 'number of days that are asked for', jobs: `[${accepted}]` },
  'history gaps --wait': watched,
  'history objects': { objects: `[{${storedObject}}]`, next: 'the value of --cursor for the next page, or null' },
  'history show': {
    key: `with the other keys of an object in "history objects --json"`,
    schema_version: 'of its columns',
    modified_at: 'when the source says that the data last changed, or null',
    days: '{day: rows}',
    quality: '{crossed, zero_bids, outside_session, odd_bids}: rows that are stored as they came and are odd',
    requests: '[{url, status, bytes}] to the source',
    source_version: 'of the source',
    writer: 'of the file',
    job_id: 'the job that stored it',
    columns: '[{name, type}]',
    first_rows: '[{column: value}]',
  },
  'history chain': {
    root: 'in upper case',
    at: 'the moment',
    day: 'the trading day',
    key: 'of the object that the rows are from',
    source: 'of the object',
    underlying: 'its close on that day, or null',
    contracts: 'of the whole chain',
    rows: '[{column: value}], the first --limit',
    next: 'null, or the position of the next row',
  },
  'history verify': {
    ok: 'true when all objects are as the manifest says',
    objects: 'number that were read',
    bytes: 'of all of them',
    faults: '[{key, fault, text}]; fault: missing, bytes, sha256, rows or unreadable',
  },
  'history prune': {
    ok: 'true when no object of the manifest is lost',
    dry_run: 'true: nothing was deleted',
    deleted: '[{key, bytes}] without a row in the manifest',
    leftovers: 'of interrupted downloads, deleted',
    lost: '[key] in the manifest whose file is gone',
  },
} as const satisfies Record<string, Keys>;

const OWN_KEYS = {
  demo: { users: 'the users who signed in', ...answered },
  login: {
    user: 'the user who signed in',
    published_at: 'when',
    ok: 'true when it is committed',
    announced: 'false when the broker is away: the workers find its jobs by polling',
    total: 'symbols held and watched',
    queued: 'of these: symbols with queued jobs',
    fresh: 'of these: symbols that were fresh already',
    ...skippedToo,
  },
  'login --wait': { user: 'the user who signed in', ...answered },
  jobs: {
    jobs: '[{id, type, symbol, capability, state, queue, priority, score, attempt, max_attempts, user, worker, blocked_on, run_at, enqueued_at, started_at, ended_at, reason, code}]',
    next: 'the value of --before for the next page, or null',
  },
  job: {
    id: 'with the other keys of a job in "jobs --json"',
    payload: 'its parameters',
    why: '{text, user, and if scored: factors {name: {value, weight, points}}, score, cause, base, band, boost, priority, freshness}; user: the one whose request gave the priority',
    triggered_by: 'the cause: user_login, user_request, …',
    code: 'error code when it did not complete',
    result: 'its result',
    updated_at: 'of the last change of its state, its items or its parts',
    attempts: '[{attempt, worker, started_at, ended_at, outcome, code, reason}] that have ended; the one that completed is the last',
    subscribers: '[user]',
    needs: '[{id, type, symbol, state, is_part}] that must end first; the items of parts count as items of the job',
    dependents: '[{id, type, symbol, state, is_part}] that wait for it, or waited',
    items: '{pending, done, skipped, no_data, failed, not_entitled, not_yet, total}',
    item_list: '[{key, state, attempts, rows, bytes, reason}], the first thousand',
  },
  'picks make': {
    ok: 'true when nothing was refused',
    jobs: '[{user, id, state}], one a user',
    fetches: 'number of jobs that bring the universe up to date first',
    refused: '[reason]',
  },
  'picks make --wait': {
    ok: 'true when all reports were made',
    jobs: '[job] as those of "fetch --wait"',
    reports: '[report], in the order of the users; null for one without',
  },
  'picks show': {
    report: 'the whole report, or null; docs/picks.md has its fields',
    status: 'ready, making, failed, none, or sample in static mode',
    job: '{id, state, code, reason} of the newest job of the week, or null',
    is_current: 'false for a report of another week than the one asked for',
    this_week: 'its Monday',
    disclosures: '[{id, text}] that stand on the report',
  },
  'picks history': {
    user: 'the reader',
    reports: '[{week_of, version, source, simulated, data_date, generated_at, tickers}], newest first',
  },
  'picks record': {
    user: 'the reader',
    index: 'what the returns are compared with',
    cohorts: '{counted, without}: the weeks that count, and those that do not, with the reason',
    horizons:
      '[{weeks, picks, cohorts, open, missing, delisted, effective, mean, excess, standardError, excessOverUniverse, hitRate, hitInterval, conclusive, notes, returns}], fractions',
  },
  'picks profile': { user: 'whose', profile: 'all its values', changed_at: 'null for the defaults' },
  spend: {
    totals: '[{purpose, window, spent_usd, unknown_usd, cap_usd, calls}] of this day and week',
    calls:
      '[{id, intent, payment, purpose, user, state, reserved_usd, cost_usd, cost_source, provider, model_asked, model_answered, reserved_at, error}]',
    next: 'the value of --before for the next page, or null',
  },
  'spend settle': { id: 'with the other keys of a call in "spend --json"' },
  cancel: changed,
  retry: changed,
  redrive: {
    ok: 'true',
    announced: 'false when the broker cannot be reached: the workers find the jobs by polling',
    redriven: '[id]',
    superseded: '[id] of jobs that another live job replaces',
  },
  'portfolio import': {
    ok: 'true',
    users: 'number of users whose portfolios were replaced',
    held: 'positions',
    watched: 'symbols without a quantity',
  },
  'portfolio import --dry-run': {
    ok: 'true',
    dry_run: 'true: nothing was written',
    users: 'number of users that the file names',
    added: 'positions that the users do not have yet',
    changed: 'positions with another quantity or cost',
    removed: 'positions of these users that the file does not have',
    unchanged: 'positions that stay as they are',
    by_user: '[{user, added, changed, removed, unchanged}] of the first 1,000 users',
    changes: '[{user, symbol, change, from, to}], the first 1,000; from, to: {quantity, cost}, or null',
  },
  'portfolio show': {
    user: 'the owner',
    at: 'the moment of the freshness check',
    positions:
      '[{symbol, quantity, cost, close, currency, value, base_value, previous_close, day_change, day_change_pct, weight_pct, profit, profit_pct, newest_bar, source, simulated, unrestated_split, as_of, price, analysis, signal, confidence}]; price and analysis: {state, sessions_behind, age_minutes, threshold_minutes, session, due_at, failure, reason}',
    value: '[{currency, value, simulated}] by the currency of the prices; simulated: the part from made-up prices',
    totals:
      '[{currency, holdings, value, simulated, day_change, day_change_pct, cost, profit, profit_pct}] by the currency of the prices, the largest first',
    worth:
      '{currency, value, simulated, rates, unknown} in portfolio.base_currency; rates: [{symbol, rate, newest_bar, state, reason, simulated}] used; unknown: [{symbol, reason}] not in the sum',
    freshness: '{fresh, outdated, stale, missing}: positions by the state of their price',
  },
  symbol: {
    symbol: 'in upper case',
    currency: 'of its prices',
    time_zone: 'of its exchange',
    source: 'of the newest bar',
    simulated: 'true for made-up prices',
    as_of: 'the moment at which the newest bar was true',
    checked_at: 'the last time that a source answered',
    unrestated_split: 'ex-date of a split for which the source has not restated the older prices; until it has, there is no signal',
    bar: '{date, open, high, low, close, adjusted_close, volume}',
    price:
      '{state, sessions_behind, age_minutes, threshold_minutes, session, due_at, failure, reason}; failure: null, or {since, last_asked, asked_again, times, code, reason}',
    analysis: '{the same, and date, computed_at, signal, confidence, bars_used, reasons, indicators}',
    actions: '[{date, kind, value}], splits and dividends of the last year',
    research:
      'null without any; {symbol, disclaimer, fundamentals: {source, simulated, fetched_at, stale, name, sector, industry, values, earnings, …}, news: {source, checked_at, stale, headlines}}',
    model_analysis:
      'null without any; the opinion of a language model, not investment advice: {model, created_at, stale, sentiment, recommendation, confidence, summary, drivers, risks, unknowns, facts, …}',
    model_analysis_state: 'when it was made, or why there is none',
  },
  bars: {
    symbol: 'in upper case',
    currency: 'of its prices',
    source: 'of the newest bar',
    simulated: 'true for made-up prices',
    adjusted: 'false with --raw',
    bars: '[{date, open, high, low, close, adjusted_close, volume}], oldest first',
  },
  indicators: {
    symbol: 'in upper case',
    adjusted: 'false with --raw',
    dates: '[date], oldest first',
    indicators: '{name: [value for each date]}; null where the history is too short',
  },
  signals: {
    symbol: 'in upper case',
    signals: '[{date, computed_at, signal, confidence, bars_used, close, reasons}], newest first',
    next: 'the value of --before for the next page, or null',
  },
  ranks: {
    symbol: 'in upper case',
    mode: 'monitor, entry or exit',
    run_at: 'when it was ranked; null where there is no ranking, and the keys up to job_id are null too',
    as_of: 'when the chain was quoted',
    source: 'of the chain',
    simulated: 'true for made-up quotes',
    spot: 'price of the underlying',
    total: 'contracts of the chain, in exit mode positions',
    eligible: 'of these: could be ranked',
    reasons: '{reason: how many were not ranked}',
    left_out: '[{position, contract, reason, why, user}] positions that exit mode does not rank',
    gaps: '[{expiry, contracts, reason}] missing in the chain',
    atm_iv: '30-day at-the-money volatility, 0.25 is 25 %',
    iv_rank: 'of the underlying, 0-100',
    iv_percentile: 'of the underlying, 0-100',
    trend: 'bullish, bearish or neutral',
    job_id: 'the job that made it',
    totalRanks: 'ranks that pass the filters',
    ranks:
      '[{place, contract, side, expiration, strike, …, composite_rank, entry_rank, exit_rank, every part and block, signals, missing, weights, data_quality}]',
    next: 'the value of --cursor for the next page, or null',
    filters: '{side, expiry, signal, minRank, contract, user, sort, limit}, those that were given',
    state: '{state, job, text} of its newest job when there is no ranking, else null',
  },
  'position add': { ok: 'true', position: '{id, user_id, contract, quantity, entry_price, entry_iv, entry_spot, target, stop, opened_at}' },
  'position list': {
    positions:
      '[{id, user_id, contract, quantity, entry_price, entry_iv, entry_spot, target, stop, opened_at, mid, quoted_at, simulated, value, profit, profit_pct}]; the last six by the newest ranking that has the contract',
  },
  'position remove': { ok: 'true', id: 'of the position' },
  stats: {
    at: 'the moment',
    queues: '[{queue, ready, running, scheduled, blocked, oldest_s}]',
    depth: '{priority: waiting jobs}',
    states: '{state: jobs}, live ones and those that ended in the last minute',
    enqueued_last_minute: 'jobs',
    completed_last_minute: 'jobs',
    failed_last_minute: 'jobs',
    failed: 'jobs in the dead letter',
    workers: '{online, slots, busy, utilisation}',
    latencies: '[{source, p95_s, answers}]',
    freshness: '{fresh, outdated, stale, missing, simulated}: held and watched symbols by the state of their price',
    instances: '[{instance, service, capacity, running, started_at, heartbeat_at, clock_offset_s, capabilities}]',
    alerts: '[{name, value, threshold, since, text, advice}] that are raised; advice: {means, todo, command}, or null',
    clock_offset_s: "seconds by which this machine's clock is ahead of the database's",
  },
  dashboard: { url: 'the link', expires_at: 'until when it works' },
  'key create': {
    id: 'the id for key revoke',
    name: 'the user or application of the key',
    scopes: '[scope]',
    key: 'shown this once: for "Authorization: Bearer"',
    signing_secret: 'verifies the signatures of its webhooks, shown this once',
    expires_at: 'when it ends by itself, or null',
  },
  'key rotate': {
    id: 'of the key; it stays',
    name: 'its user or application',
    key: 'the new secret, shown this once',
    signing_secret: 'verifies the signatures of its webhooks from now on',
    old_until: 'until then the old secret works too',
    expires_at: 'when the key ends by itself, or null',
  },
  'key webhook-secret': {
    id: 'of the key',
    name: 'its user or application',
    signing_secret: 'verifies the signatures of its webhooks, shown this once',
    old_until: 'until then the old secret signs too',
  },
  'key list': {
    keys: '[{id, name, scopes, state, created_at, expires_at, last_used_at, rotated_at, old_until, revoked_at}]; state: in force, expired or revoked',
  },
  audit: {
    rows: '[{id, at, source, actor, name, address, action, target, outcome, code, times, details}]',
    next: 'the value of --before for the next page, or null',
  },
  'key revoke': { ok: 'true', id: 'of the key', name: 'its user or application' },
  'migrate up': { ok: 'true', applied: '[name]', online: 'true when services of the version before may go on serving' },
  'migrate down': { ok: 'true', taken_back: '[name]' },
  'migrate grants': { statements: 'the SQL statements, in the order in which they are run' },
  'migrate status': { current: 'true when none is missing', migrations: '[{version, name, applied_at, online, why_not}]' },
  simulate: {
    day: 'in New York; with it users, symbols, seed, mesh {cores, portfolio_priority, workers}, elapsed_ms',
    sizing: 'what docs/sizing.md says: {logins_per_second, cores, workers, connections, database_bytes, …}',
    hours: '[{at, logins, symbols, fresh, made, joined, refused, stored, queues, asked, budget, fresh_p50_s, cores, …}]',
    total: 'the same of the whole day',
  },
  'config show': { environment: 'the environment whose file applies', warnings: '[text]', keys: '[{key, value, origin}]' },
} as const satisfies Record<string, Keys>;

/** The keys of every document that a command prints. */
export function jsonKeys(types: readonly JobType[]): Record<string, Keys> {
  return { ...OWN_KEYS, ...HISTORY_KEYS, ...OPERATE_KEYS, ...requestKeys(types) };
}

/** Adds `--json` to each of these commands, and the keys to its help. */
export function offerJson(program: Command, types: readonly JobType[]): void {
  for (const [name, keys] of Object.entries(jsonKeys(types))) {
    const [path = ''] = name.split(' --');
    const command = path.split(' ').reduce((within, word) => within.commands.find((one) => one.name() === word) as Command, program);
    if (command.options.every(({ long }) => long !== '--json')) command.option('--json', 'for scripts: one JSON document');
    const lines = fields(Object.entries(keys).map(([key, meaning]) => [`  ${key}`, meaning]));
    command.addHelpText('after', `\nKeys of ${name} --json:\n${lines.trimEnd()}`);
  }
}
