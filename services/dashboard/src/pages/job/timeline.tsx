import { secondsBetween, wait } from '../../format/times.ts';
import { useNow } from '../../parts/now.ts';
import { Moment } from '../../parts/words.tsx';
import type { Detail } from './queries.ts';

interface Step {
  kind: 'wait' | 'run';
  name: string;
  from: string;
  /** undefined: it goes on. */
  to: string | undefined;
}

/** What the job has spent its time with: waiting, running, waiting for the next attempt. */
export function stepsOf({
  enqueued_at,
  started_at,
  ended_at,
  attempts,
  state,
}: Pick<Detail, 'enqueued_at' | 'started_at' | 'ended_at' | 'attempts' | 'state'>): Step[] {
  const steps: Step[] = [];
  let from = enqueued_at;
  const runs = [...attempts].sort((one, other) => one.attempt - other.attempt);
  for (const { attempt, started_at: begin, ended_at: end } of runs) {
    if (begin !== null) {
      steps.push(
        { kind: 'wait', name: attempt === 1 ? 'waited' : 'waited for the next attempt', from, to: begin },
        { kind: 'run', name: `attempt ${attempt}`, from: begin, to: end },
      );
    }
    from = end;
  }
  if (state === 'running' && started_at !== null)
    steps.push({ kind: 'wait', name: 'waited', from, to: started_at }, { kind: 'run', name: 'runs', from: started_at, to: undefined });
  else if (ended_at === null) steps.push({ kind: 'wait', name: 'waits', from, to: undefined });
  else if (runs.length === 0) steps.push({ kind: 'wait', name: 'waited', from, to: ended_at });
  return steps;
}

export function Timeline({ job }: { job: Detail }) {
  const now = useNow(1_000);
  const steps = stepsOf(job).map((step) => {
    const seconds = secondsBetween(step.from, step.to ?? now);
    // Machines whose clocks differ may say that a job has started before it was asked for.
    return { ...step, seconds: Math.max(0, seconds), isOff: seconds < -0.001 };
  });
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0) || 1;
  return (
    <>
      <div className="timeline" aria-hidden="true">
        {steps.map(({ kind, from, name, seconds }) => (
          <span key={`${from} ${name}`} data-kind={kind} style={{ flexGrow: Math.max(seconds / total, 0.004) }} />
        ))}
      </div>
      <ol className="steps">
        {steps.map(({ kind, name, from, seconds, isOff, to }) => (
          <li key={`${from} ${name}`}>
            <span className="step-key" data-kind={kind} aria-hidden="true" />
            <span>
              {name} {isOff ? 'no time (the clocks of two machines differ)' : wait(seconds)}
              {to === undefined ? ' so far' : ''}
            </span>
            <span className="dim">
              from <Moment at={from} />
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
