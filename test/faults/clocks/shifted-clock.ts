// Loaded before a program (`node --import`): shifts the wall clock that it sees, `Date` and `Temporal.Now`, and not the monotonic clock, as a machine with a wrong clock
// has it. CLOCK_SHIFT_MS: from the start on. CLOCK_STEP_MS: so much more at each SIGUSR2, as a step by NTP or by an operator.

let shiftMs = Number(process.env.CLOCK_SHIFT_MS ?? 0);
const stepMs = Number(process.env.CLOCK_STEP_MS ?? 0);
if (stepMs !== 0)
  process.on('SIGUSR2', () => {
    shiftMs += stepMs;
  });

const { now } = Date;
const shiftedNow = (): number => now() + shiftMs;
Date.now = shiftedNow;
globalThis.Date = new Proxy(Date, {
  apply: () => new Date().toString(),
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [shiftedNow()] : args, newTarget),
});

const instant = (): Temporal.Instant => Temporal.Instant.fromEpochMilliseconds(shiftedNow());
const zoned = (zone?: Temporal.TimeZoneLike): Temporal.ZonedDateTime => instant().toZonedDateTimeISO(zone ?? Temporal.Now.timeZoneId());
Object.assign(Temporal.Now, {
  instant,
  zonedDateTimeISO: zoned,
  plainDateTimeISO: (zone?: Temporal.TimeZoneLike) => zoned(zone).toPlainDateTime(),
  plainDateISO: (zone?: Temporal.TimeZoneLike) => zoned(zone).toPlainDate(),
  plainTimeISO: (zone?: Temporal.TimeZoneLike) => zoned(zone).toPlainTime(),
});
