import { Anchor, AppShell, Burger, Menu, Text, useMantineColorScheme } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, Outlet, useLocation } from '@tanstack/react-router';
import { Suspense, useEffect } from 'react';
import { type Me, may, signOut } from '../data/session.ts';
import { Loading } from '../parts/states.tsx';
import { Finder } from './finder.tsx';
import { Logo } from './logo.tsx';
import { StreamStatus } from './stream-status.tsx';

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
];

export function Shell({ me }: { me: Me }) {
  const [isOpen, { toggle, close }] = useDisclosure();
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu of a narrow screen closes when the page changes
  useEffect(close, [pathname]);
  return (
    <AppShell
      header={{ height: 48 }}
      navbar={{ width: 184, breakpoint: 'sm', collapsed: { mobile: !isOpen } }}
      padding={0}
      transitionDuration={0}
    >
      <AppShell.Header className="header">
        <a className="skip" href="#main">
          To the content
        </a>
        <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={isOpen ? 'Close the menu' : 'Open the menu'} />
        <Link to="/" className="home" aria-label="stockmesh, to the overview">
          <Logo />
        </Link>
        <Finder />
        <span className="grow" />
        <StreamStatus />
        <Account me={me} />
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Pages">
        {PAGES.filter(({ isOperations }) => !isOperations || may(me, 'read')).map(({ to, name }) => (
          <Link key={to} to={to} className="nav-link" activeProps={{ 'aria-current': 'page' }}>
            {name}
          </Link>
        ))}
        <Foot version={me.version} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <Suspense fallback={<Loading />}>
          <Outlet />
        </Suspense>
      </AppShell.Main>
    </AppShell>
  );
}

/** With the notice that the licence of lightweight-charts demands. */
function Foot({ version }: { version: string }) {
  return (
    <Text size="xs" c="dimmed" mt="auto" component="footer">
      stockmesh {version} ·{' '}
      <Anchor href="/docs" underline="always">
        HTTP API
      </Anchor>
      <br />
      Price charts: TradingView Lightweight Charts™, © 2026{' '}
      <Anchor underline="always" href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
        TradingView, Inc.
      </Anchor>
    </Text>
  );
}

const SCHEMES = { auto: 'As the system', light: 'Light', dark: 'Dark' } as const;

function Account({ me }: { me: Me }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <button type="button" className="account">
          <span className="account-name">{me.key.name}</span> ▾
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Scopes: {me.scopes.join(', ')}</Menu.Label>
        {(Object.keys(SCHEMES) as (keyof typeof SCHEMES)[]).map((scheme) => (
          <Menu.Item key={scheme} onClick={() => setColorScheme(scheme)} role="menuitemradio" aria-checked={scheme === colorScheme}>
            {scheme === colorScheme ? '● ' : '○ '}
            {SCHEMES[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
