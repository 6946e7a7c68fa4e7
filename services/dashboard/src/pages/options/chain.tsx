import { Link } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { ApiError } from '../../data/client.ts';
import { count, decimal, price, share } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Moment, Simulated } from '../../parts/words.tsx';
import { type Asking, isNotThere, NotRanked } from './ask.tsx';
import type { Search } from './filters.ts';
import { type Chain, type ChainContract, type Mode, type Ranking, useChain } from './queries.ts';
import { BANDS, contractName, dayName } from './words.ts';

interface ChainProps {
  symbol: string;
  mode: Mode;
  search: Search;
  change: (changes: Search) => void;
  asking: Asking;
  hasChain: boolean | undefined;
  /** Of the ranking, where there is none. */
  state: Ranking['state'];
}

type Strike = Chain['strikes'][number];
/** Strikes to each side of the money that are drawn at first: more than a screen has. */
const AROUND = 100;

/** Calls, strikes and puts of an expiration as they were quoted, opened at the money. */
export function ChainTab({ symbol, mode, search, change, asking, hasChain, state }: ChainProps) {
  const chain = useChain(symbol, search.expiry, hasChain === true);
  if (chain.error instanceof ApiError && chain.error.code === 'expiry.unknown')
    return (
      <Panel title="Chain">
        <Empty title="The chain has no such expiration any more">
          <button type="button" className="text-button" onClick={() => change({ expiry: undefined })}>
            Show the nearest one
          </button>
        </Empty>
      </Panel>
    );
  if (hasChain === false || (isNotThere(chain.error) && chain.data === undefined))
    return (
      <Panel title="Chain">
        <NotRanked state={state} asking={asking} />
      </Panel>
    );
  return (
    <Panel title="Chain" aside={chain.data && <Source chain={chain.data} />}>
      <Loaded query={chain} lines={12}>
        {(data) => (
          <>
            <Expiries chain={data} change={change} />
            <Strikes key={data.expiry} chain={data} mode={mode === 'monitor' ? 'monitor' : 'entry'} />
          </>
        )}
      </Loaded>
    </Panel>
  );
}

function Source({ chain: { as_of, source, simulated, symbol, expiry } }: { chain: Chain }) {
  return (
    <>
      <Simulated when={simulated} />
      <span className="dim">
        {simulated ? '' : `${source}, `}
        <Moment at={as_of} />
      </span>
      <a href={`/v1/symbols/${encodeURIComponent(symbol)}/chain?format=csv&expiry=${expiry}`} download={`${symbol}-chain-${expiry}.csv`}>
        CSV
      </a>
    </>
  );
}

function Expiries({ chain: { expiries, expiry }, change }: { chain: Chain; change: ChainProps['change'] }) {
  return (
    <div className="expiries" role="group" aria-label="Expiration">
      {expiries.map((one) => (
        <button
          key={one.expiry}
          type="button"
          className="tab"
          aria-pressed={one.expiry === expiry}
          title={`${one.calls} calls, ${one.puts} puts, ${count(one.open_interest)} open, at the money ${share(one.atm_iv === null ? null : one.atm_iv * 100)}`}
          onClick={() => change({ expiry: one.expiry })}
        >
          {dayName(one.expiry)} <span className="tab-count">{one.days} d</span>
        </button>
      ))}
    </div>
  );
}

function Strikes({ chain, mode }: { chain: Chain; mode: 'entry' | 'monitor' }) {
  const box = useRef<HTMLDivElement>(null);
  const [isWhole, setWhole] = useState(false);
  const { spot, strikes } = chain;
  const money = spot === null ? -1 : strikes.findIndex(({ strike }) => strike >= spot);
  const at = money === -1 ? strikes.length : money;
  const [from, to] = isWhole ? [0, strikes.length] : [Math.max(0, at - AROUND), at + AROUND];
  const shown = strikes.slice(from, to);
  const most = Math.max(1, ...strikes.flatMap(({ call, put }) => [call?.open_interest ?? 0, put?.open_interest ?? 0]));
  // Once: whoever has scrolled since is left there.
  useEffect(() => {
    const row = box.current?.querySelector<HTMLElement>('.money');
    if (box.current && row) box.current.scrollTop = row.offsetTop - box.current.clientHeight / 2;
  }, []);
  return (
    <>
      <div className="table-box chain-box" ref={box} tabIndex={0} role="group" aria-label={`Chain of ${chain.symbol}, ${chain.expiry}`}>
        <table className="table chain">
          <Head mode={mode} />
          <tbody>
            {shown.map((row, index) => (
              <StrikeRows
                key={`${row.root} ${row.strike}`}
                row={row}
                spot={spot}
                mode={mode}
                most={most}
                isMoney={from + index === money}
              />
            ))}
            {money === -1 && spot !== null && <Money spot={spot} />}
          </tbody>
        </table>
      </div>
      {shown.length < strikes.length && (
        <div className="more">
          {shown.length} of {strikes.length} strikes, around the money.
          <button type="button" className="text-button" onClick={() => setWhole(true)}>
            Show all
          </button>
        </div>
      )}
    </>
  );
}

const SIDE = [
  ['rank', 'Rank', 'Of those that are kept of the newest ranking'],
  ['open', 'Open', 'Open interest'],
  ['volume', 'Volume', 'Contracts traded on the day'],
  ['iv', 'IV', 'Implied volatility, a year'],
  ['mid', 'Mid', 'Between bid and ask, dollars a share'],
] as const;

function Head({ mode }: { mode: string }) {
  const cells = (side: string, columns: readonly (typeof SIDE)[number][]) =>
    columns.map(([id, title, hint]) => (
      <th key={`${side} ${id}`} scope="col" data-align="right" title={id === 'rank' ? `${hint}: ${mode}` : hint}>
        {title}
      </th>
    ));
  return (
    <thead>
      <tr>
        <th scope="colgroup" colSpan={SIDE.length} className="chain-side">
          Calls
        </th>
        <td className="chain-strike" />
        <th scope="colgroup" colSpan={SIDE.length} className="chain-side">
          Puts
        </th>
      </tr>
      <tr>
        {cells('call', SIDE)}
        <th scope="col" className="chain-strike">
          Strike
        </th>
        {cells('put', SIDE.toReversed())}
      </tr>
    </thead>
  );
}

interface RowProps {
  row: Strike;
  spot: number | null;
  mode: 'entry' | 'monitor';
  /** The largest open interest, of which the bars are parts. */
  most: number;
  /** The first strike at or above the spot: the line of the money stands over it. */
  isMoney: boolean;
}

function StrikeRows({ row: { root, strike, call, put }, spot, mode, most, isMoney }: RowProps) {
  const isCallIn = spot !== null && strike < spot;
  const isPutIn = spot !== null && strike > spot;
  return (
    <>
      {isMoney && spot !== null && <Money spot={spot} />}
      <tr>
        <Side contract={call} mode={mode} most={most} isIn={isCallIn} />
        <th scope="row" className="chain-strike" title={root}>
          <InMark when={isCallIn} mark="◂" text="call in the money" />
          {price(strike)}
          <InMark when={isPutIn} mark="▸" text="put in the money" />
        </th>
        <Side contract={put} mode={mode} most={most} isIn={isPutIn} isMirrored />
      </tr>
    </>
  );
}

function Money({ spot }: { spot: number }) {
  return (
    <tr className="money">
      <td colSpan={2 * SIDE.length + 1}>spot {price(spot)}</td>
    </tr>
  );
}

/** The shade of the money, for those who do not see it. */
function InMark({ when, mark, text }: { when: boolean; mark: string; text: string }) {
  return (
    <span className="in-mark" title={when ? text : undefined}>
      <span aria-hidden="true">{when ? mark : ''}</span>
      {when && <span className="unseen">{text}</span>}
    </span>
  );
}

interface SideProps {
  contract: ChainContract | null;
  mode: 'entry' | 'monitor';
  most: number;
  isIn: boolean;
  isMirrored?: boolean;
}

function Side({ contract, mode, most, isIn, isMirrored = false }: SideProps) {
  const inside = isIn || undefined;
  if (contract === null) return <td colSpan={SIDE.length} data-in={inside} />;
  const { mid, bid, ask, iv, volume, open_interest: open } = contract;
  const cells = [
    <td key="rank" data-align="right" data-in={inside}>
      <RankChip contract={contract} rank={contract[mode]} />
    </td>,
    <td key="open" data-align="right" data-in={inside} className="open-cell">
      <span className="open-bar" style={{ width: `${(100 * (open ?? 0)) / most}%` }} aria-hidden="true" />
      <span>{count(open)}</span>
    </td>,
    <td key="volume" data-align="right" data-in={inside}>
      {count(volume)}
    </td>,
    <td key="iv" data-align="right" data-in={inside}>
      {share(iv === null ? null : iv * 100)}
    </td>,
    <td
      key="mid"
      data-align="right"
      data-in={inside}
      title={mid === null ? 'not quoted on both sides' : bid === null ? undefined : `bid ${price(bid)}, ask ${price(ask)}`}
    >
      {price(mid)}
    </td>,
  ];
  return isMirrored ? cells.toReversed() : cells;
}

function RankChip({ contract: { contract }, rank }: { contract: ChainContract; rank: ChainContract['entry'] }) {
  if (rank === null) return null;
  const { mark, tone } = BANDS[rank.band as keyof typeof BANDS];
  return (
    <Link
      to="."
      search={(before: Search) => ({ ...before, contract })}
      replace
      resetScroll={false}
      className="chip"
      data-tone={tone}
      title={`${contractName(contract)}: rank ${decimal(rank.rank, 1)}, ${rank.band}, place ${rank.place}`}
    >
      <span aria-hidden="true">{mark}</span> {decimal(rank.rank, 1)}
    </Link>
  );
}
