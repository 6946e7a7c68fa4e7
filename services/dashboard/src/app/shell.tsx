import { Link, Outlet, useLocation } from '@tanstack/react-router';
import { Suspense, useEffect, useState } from 'react';
import { type Me, may } from '../data/session.ts';
import { Loading } from '../parts/states.tsx';
import { useTimeStyle } from '../parts/time-style.ts';
import { Account } from './header/account.tsx';
import { Finder } from './header/finder.tsx';
import { Help } from './header/help.tsx';
import { StreamStatus } from './header/stream-status.tsx';
import { Logo } from './logo.tsx';

interface Page {
  to: string;
  name: string;
  /** Sees all users: shown to such keys alone. */
  isOperations?: true;
}

const PAGES: readonly Page[] = [
  { to: '/mesh', name: 'Mesh', isOperations: true },
  { to: '/jobs', name: 'Jobs' },
  { to: '/portfolios', name: 'Portfolios', isOperations: true },
  { to: '/options', name: 'Options' },
  { to: '/history', name: 'History', isOperations: true },
  { to: '/picks', name: 'Picks' },
  { to: '/admin', name: 'Admin', isOperations: true },
];

export function Shell({ me }: { me: Me }) {
  const [isOpen, setOpen] = useState(false);
  const { pathname, search } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu of a narrow screen closes when the page changes
  useEffect(() => setOpen(false), [pathname]);
  // A screen on the wall shows the page alone.
  if ((search as { wall?: string }).wall === '1') return <Content />;
  return (
    <>
      <header className="header">
        <a className="skip" href="#main">
          To the content
        </a>
        <button
          type="button"
          className="burger"
          aria-label={isOpen ? 'Close the menu' : 'Open the menu'}
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <span aria-hidden="true">{isOpen ? '✕' : '☰'}</span>
        </button>
        <Link to="/" className="home" aria-label="stockmesh, to the overview">
          <Logo />
        </Link>
        <Finder />
        <span className="grow" />
        <StreamStatus />
        <Help />
        <Account me={me} />
      </header>
      <nav className="nav" aria-label="Pages" data-open={isOpen || undefined}>
        {PAGES.filter(({ isOperations }) => !isOperations || may(me, 'read')).map(({ to, name }) => (
          <Link key={to} to={to} className="nav-link" activeProps={{ 'aria-current': 'page' }}>
            {name}
          </Link>
        ))}
        {!may(me, 'read') &&
          me.users.map((user) => (
            <Link key={user} to="/portfolios/$user" params={{ user }} className="nav-link" activeProps={{ 'aria-current': 'page' }}>
              Portfolio of {user}
            </Link>
          ))}
        <Foot version={me.version} />
      </nav>
      <Content />
    </>
  );
}

/** Drawn anew when times are to be written in another way. */
function Content() {
  return (
    <main id="main" tabIndex={-1}>
      <Suspense fallback={<Loading />} key={useTimeStyle()}>
        <Outlet />
      </Suspense>
    </main>
  );
}

/** With the notice that the licence of lightweight-charts demands. */
function Foot({ version }: { version: string }) {
  return (
    <footer className="foot dim">
      stockmesh {version} · <a href="/docs">HTTP API</a>
      <br />
      Price charts: TradingView Lightweight Charts™, © 2026{' '}
      <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
        TradingView, Inc.
      </a>
    </footer>
  );
}
