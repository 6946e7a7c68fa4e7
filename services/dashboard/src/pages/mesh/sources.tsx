import type { Schemas } from '../../data/client.ts';
import { count } from '../../format/numbers.ts';
import { clock, moment, wait } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Hint, Mark } from '../../parts/words.tsx';
import { useSources } from './queries.ts';

type Source = Schemas['Source'];
const STATES: Record<Source['state'], { tone: string; mark: string; word: string }> = {
  ok: { tone: 'good', mark: '✓', word: 'answers' },
  unasked: { tone: 'calm', mark: '○', word: 'not asked yet' },
  failing: { tone: 'warn', mark: '▲', word: 'last answer failed' },
  paused: { tone: 'bad', mark: '‖', word: 'paused' },
};

const COLUMNS: Column<Source>[] = [
  {
    id: 'source',
    title: 'Source',
    by: ({ place }) => place,
    cell: ({ source, place }) => <span title={place === null ? 'not configured for prices' : `asked as number ${place}`}>{source}</span>,
  },
  {
    id: 'state',
    title: 'State',
    by: ({ state }) => state,
    cell: ({ state, paused_until }) => {
      const { tone, mark, word } = STATES[state];
      return (
        <Mark tone={tone} mark={mark}>
          {word}
          {paused_until === null ? '' : ` until ${clock(paused_until)}`}
        </Mark>
      );
    },
  },
  {
    id: 'left',
    title: 'Left',
    hint: 'Requests that may still be made in this minute, by all workers together',
    align: 'right',
    by: ({ budget }) => budget?.left ?? null,
    cell: ({ budget }) => (budget === null ? <span className="dim">no limit</span> : `${budget.left} of ${budget.limit}`),
  },
  {
    id: 'p95',
    title: 'p95',
    hint: '95 of 100 answers of the last five minutes were faster',
    align: 'right',
    by: ({ p95_s }) => p95_s,
    cell: ({ p95_s }) => wait(p95_s),
  },
  {
    id: 'error',
    title: 'Last error',
    grow: true,
    by: ({ last_error_at }) => last_error_at,
    cell: ({ last_error, last_error_at, errors, answers }) =>
      last_error === null ? (
        <span className="dim">none of {count(answers)}</span>
      ) : (
        <Hint text={`${last_error}\n${errors} of ${errors + answers} requests failed`}>{`${moment(last_error_at)} ${last_error}`}</Hint>
      ),
  },
];

export function Sources() {
  const query = useSources();
  return (
    <Panel title="Market sources">
      <Loaded query={query}>
        {({ sources }) => (
          <Table name="Market sources" columns={COLUMNS} rows={sources} rowKey={({ source }) => source} sort={{ id: 'source' }} />
        )}
      </Loaded>
    </Panel>
  );
}
