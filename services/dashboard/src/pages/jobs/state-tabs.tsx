import { count } from '../../format/numbers.ts';
import { stateWord } from '../../parts/words.tsx';
import { type Filters, STATES } from './filters.ts';
import { useCounts } from './queries.ts';

/** How many jobs each state has, of the other filters; a press shows them. */
export function StateTabs({ filters, change }: { filters: Filters; change: (changes: Record<string, string | undefined>) => void }) {
  const { data } = useCounts(filters);
  const chosen = filters.state?.split(',') ?? [];
  return (
    <div className="tabs" role="group" aria-label="State">
      <button
        type="button"
        className="tab"
        aria-pressed={chosen.length === 0}
        onClick={() => change({ state: undefined, sort: undefined })}
      >
        All
      </button>
      {STATES.map((state) => (
        <button
          key={state}
          type="button"
          className="tab"
          aria-pressed={chosen.includes(state)}
          onClick={() => change({ state, sort: undefined })}
        >
          {stateWord(state)}{' '}
          <span className="tab-count">
            {data === undefined ? '' : `${count(data.counts[state] ?? 0)}${data.at_least.includes(state) ? '+' : ''}`}
          </span>
        </button>
      ))}
    </div>
  );
}
