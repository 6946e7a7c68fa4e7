import { decimal, plain, price } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark } from '../../parts/words.tsx';
import { type PastSignal, usePastSignals } from './queries.ts';

const MARKS = { buy: ['good', '▲'], sell: ['bad', '▼'], hold: ['calm', '■'] } as const;

export function SignalMark({ signal }: { signal: PastSignal['signal'] }) {
  const [tone, mark] = MARKS[signal];
  return (
    <Mark tone={tone} mark={mark}>
      {signal}
    </Mark>
  );
}

const COLUMNS: Column<PastSignal>[] = [
  { id: 'date', title: 'Day', by: ({ date }) => date, cell: ({ date }) => date },
  {
    id: 'signal',
    title: 'Signal',
    by: ({ signal }) => signal,
    cell: ({ signal, reasons }) => (
      <span title={reasons.map(({ observation, points, weight }) => `${observation}: ${plain(points)} of ${plain(weight)}`).join('\n')}>
        <SignalMark signal={signal} />
      </span>
    ),
  },
  {
    id: 'confidence',
    title: 'Confidence',
    hint: '0 to 1',
    align: 'right',
    by: ({ confidence }) => confidence,
    cell: ({ confidence }) => decimal(confidence, 2),
  },
  {
    id: 'close',
    title: 'Close',
    hint: 'As it was traded on that day',
    align: 'right',
    by: ({ close }) => close,
    cell: ({ close }) => price(close),
  },
];

/** What the analysis said day by day. */
export function PastSignals({ symbol }: { symbol: string }) {
  const query = usePastSignals(symbol);
  return (
    <Panel
      title="Signals so far"
      aside={
        <a href={`/v1/symbols/${encodeURIComponent(symbol)}/signals?format=csv&limit=1000`} download={`${symbol}-signals.csv`}>
          CSV
        </a>
      }
    >
      <Loaded query={query} lines={3}>
        {({ signals }) =>
          signals.length === 0 ? (
            <Empty title="None yet">Each analysis keeps the signal of its day.</Empty>
          ) : (
            <Table name={`Signals of ${symbol}`} columns={COLUMNS} rows={signals} rowKey={({ date }) => date} height={260} />
          )
        }
      </Loaded>
    </Panel>
  );
}
