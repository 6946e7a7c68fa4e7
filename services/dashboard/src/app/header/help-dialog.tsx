import { Modal } from '@mantine/core';
import { FreshMark, StateMark } from '../../parts/words.tsx';

const KEYS: readonly (readonly [where: string, keys: readonly (readonly [key: string, what: string])[]])[] = [
  [
    'Everywhere',
    [
      ['/', 'find a symbol, user or job (Ctrl K too); in the list of jobs, the text of a reason'],
      ['p', 'hold the page still, and let it live again'],
      ['?', 'this help'],
      ['Esc', 'close a dialog or menu; the focus goes back to where it was'],
    ],
  ],
  [
    'Tables and charts',
    [
      ['Tab', 'to a table or chart; the arrow keys scroll a wide table'],
      ['Enter', 'on the head of a column: sort by it, again: the other way round'],
    ],
  ],
  [
    'A symbol',
    [
      ['1 … 7', 'the range, from a month to everything'],
      ['A', 'prices adjusted for splits and dividends, or as they were'],
      ['← →', 'move the cursor of the chart, which says its values'],
    ],
  ],
];

const STATES = [
  'ready',
  'running',
  'scheduled',
  'blocked',
  'completed',
  'completed_with_errors',
  'failed',
  'cancelled',
  'expired',
] as const;

export default function HelpDialog({ close }: { close: () => void }) {
  return (
    <Modal opened onClose={close} title="Help" size="lg" closeButtonProps={{ 'aria-label': 'Close' }}>
      <div className="help-parts">
        {KEYS.map(([where, keys]) => (
          <section key={where}>
            <h3 className="chart-title">{where}</h3>
            <dl className="facts keys">
              {keys.map(([key, what]) => (
                <div key={key} style={{ display: 'contents' }}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3 className="chart-title">Marks</h3>
          <p className="marks">
            {STATES.map((state) => (
              <StateMark key={state} state={state} />
            ))}
          </p>
          <p className="marks">
            {(['fresh', 'outdated', 'stale', 'missing'] as const).map((state) => (
              <FreshMark key={state} state={state} />
            ))}
          </p>
          <p className="dim">
            Outdated: the sources have nothing newer either. Stale: newer data is to be had and is fetched when a user who holds the symbol
            signs in.
          </p>
        </section>
      </div>
    </Modal>
  );
}
