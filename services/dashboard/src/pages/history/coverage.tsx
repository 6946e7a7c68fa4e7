import { exact } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Calendar } from './calendar.tsx';
import { type Dataset, inWords, MOST_YEARS, type Search, today } from './dataset.ts';
import { DayDialog } from './day.tsx';
import { Gaps } from './gaps.tsx';
import type { Change } from './page.tsx';
import { type Coverage, type DayState, useCoverage } from './queries.ts';
import { DAY_STATES } from './states.ts';

interface CoverageProps {
  search: Search;
  dataset: Dataset;
  change: Change;
}

/** Which days of a year are stored, and why the others are not. */
export function CoveragePanel({ search, dataset, change }: CoverageProps) {
  const now = Number(today().slice(0, 4));
  const asked = Number(search.year);
  const year = asked >= now - MOST_YEARS && asked <= now ? asked : now;
  const query = useCoverage(dataset, year);
  const title = dataset.root === '' ? 'Coverage' : `Coverage of ${inWords(dataset)}`;
  if (dataset.root === '')
    return (
      <Panel title={title}>
        <Empty title="Which days are stored">Write a root, such as AAPL, into the form above.</Empty>
      </Panel>
    );
  return (
    <Panel title={title} aside={<Years year={year} now={now} change={change} />}>
      <Loaded query={query} lines={10}>
        {(coverage) => (
          <>
            <Legend counts={coverage.counts} />
            <Calendar
              name={`Coverage of ${inWords(dataset)} in ${year}`}
              year={year}
              days={coverage.days}
              choose={(day) => change({ day })}
            />
            <Gaps key={`${JSON.stringify(dataset)} ${year}`} dataset={dataset} coverage={coverage} />
            <Chosen coverage={coverage} date={search.day} close={() => change({ day: undefined })} />
          </>
        )}
      </Loaded>
    </Panel>
  );
}

function Chosen({ coverage, date, close }: { coverage: Coverage; date: string | undefined; close: () => void }) {
  return <DayDialog day={coverage.days.find((one) => one.date === date)} close={close} />;
}

function Years({ year, now, change }: { year: number; now: number; change: Change }) {
  return (
    <span className="tabs" role="group" aria-label="Year">
      <button
        type="button"
        className="tab"
        disabled={year <= now - MOST_YEARS}
        aria-label={`To ${year - 1}`}
        onClick={() => change({ year: String(year - 1), day: undefined })}
      >
        ←
      </button>
      <strong className="year" aria-live="polite">
        {year}
      </strong>
      <button
        type="button"
        className="tab"
        disabled={year >= now}
        aria-label={`To ${year + 1}`}
        onClick={() => change({ year: String(year + 1), day: undefined })}
      >
        →
      </button>
    </span>
  );
}

/** Each state that occurs, and the two that everybody looks for. */
function Legend({ counts }: { counts: Coverage['counts'] }) {
  const shown = (Object.keys(DAY_STATES) as DayState[]).filter(
    (state) => state !== 'closed' && (counts[state] > 0 || state === 'complete' || state === 'missing'),
  );
  return (
    <ul className="day-keys" aria-label="Days by state">
      {shown.map((state) => (
        <li key={state} title={DAY_STATES[state].about}>
          <span className="day" data-state={state} aria-hidden="true">
            {DAY_STATES[state].letter}
          </span>{' '}
          {DAY_STATES[state].word} <strong>{exact(counts[state])}</strong>
        </li>
      ))}
    </ul>
  );
}
