import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { may, useMe } from '../../data/session.ts';
import { price } from '../../format/numbers.ts';
import { Loading } from '../../parts/states.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Simulated } from '../../parts/words.tsx';
import { AskButton, useAsk } from './ask.tsx';
import { ChainTab } from './chain.tsx';
import { Chooser } from './chooser.tsx';
import { ContractPanel } from './contract.tsx';
import { modeOf, type Search, TABS, type Tab, tabOf } from './filters.ts';
import './options.css';
import { PositionsTab } from './positions.tsx';
import { useHasChain, useRanking } from './queries.ts';
import { RankedTab } from './ranked.tsx';
import { RunLine } from './run-line.tsx';
import { MODE_NAMES, MODES } from './words.ts';

// With the charts, which only this tab needs.
const VolatilityTab = lazy(() => import('./volatility.tsx'));

/** The options of a symbol; without one, the symbols to choose from. */
export default function OptionsPage() {
  const { symbol } = useParams({ strict: false }) as { symbol?: string };
  return symbol === undefined ? <Chooser /> : <Options key={symbol} symbol={symbol} />;
}

function Options({ symbol }: { symbol: string }) {
  usePageTitle(`Options of ${symbol}`);
  const { data: me } = useMe();
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const mode = modeOf(search);
  const tab = tabOf(search);
  // A key of users sees exit rankings of one of them, not of all.
  const user = search.user ?? (may(me, 'read') ? undefined : me?.users[0]);
  const ranking = useRanking(symbol, mode, user);
  const asking = useAsk(symbol, mode, user);
  const change = (changes: Search): void =>
    void navigate({ to: '.', search: (before: Search) => ({ ...before, ...changes }), replace: true, resetScroll: false });
  const chain = { asking, hasChain: useHasChain(symbol, user), state: ranking.data?.state ?? null };
  const contract = search.contract ?? (tab === 'ranked' ? ranking.data?.ranks[0]?.contract : undefined);
  const hasPanel = contract !== undefined && (tab === 'ranked' || tab === 'chain');
  return (
    <div className="page options">
      <div className="page-head">
        <h1>Options of {symbol}</h1>
        {ranking.data?.spot != null && <span className="head-price">{price(ranking.data.spot)}</span>}
        <Simulated when={ranking.data?.simulated ?? false} />
        <span className="grow" />
        <Link to="/symbols/$symbol" params={{ symbol }}>
          Prices of {symbol}
        </Link>
        <Link to="/options">Other symbols</Link>
        <AskButton asking={asking} ranking={ranking.data} />
      </div>
      <div className="option-controls">
        <span role="group" aria-label="What for" className="tabs">
          {MODE_NAMES.map((name) => (
            <button
              key={name}
              type="button"
              className="tab"
              aria-pressed={name === mode}
              title={MODES[name].about}
              onClick={() => change({ mode: name, contract: undefined, signal: undefined })}
            >
              {MODES[name].name}
            </button>
          ))}
        </span>
        <span className="dim">{MODES[mode].about}</span>
      </div>
      <RunLine symbol={symbol} ranking={ranking.data} />
      <div role="group" aria-label="View" className="tabs">
        {(Object.keys(TABS) as Tab[]).map((name) => (
          <button key={name} type="button" className="tab" aria-pressed={name === tab} onClick={() => change({ tab: name })}>
            {TABS[name]}
          </button>
        ))}
      </div>
      <div className={hasPanel ? 'option-columns' : undefined}>
        {tab === 'ranked' && <RankedTab ranking={ranking} search={search} change={change} contract={contract} asking={asking} />}
        {tab === 'chain' && <ChainTab symbol={symbol} mode={mode} search={search} change={change} {...chain} />}
        {tab === 'volatility' && (
          <Suspense fallback={<Loading />}>
            <VolatilityTab symbol={symbol} search={search} change={change} {...chain} />
          </Suspense>
        )}
        {tab === 'positions' && <PositionsTab symbol={symbol} search={search} change={change} />}
        {hasPanel && (
          <ContractPanel
            key={contract}
            symbol={symbol}
            contract={contract}
            mode={mode}
            user={user}
            isChosen={search.contract !== undefined}
          />
        )}
      </div>
    </div>
  );
}
