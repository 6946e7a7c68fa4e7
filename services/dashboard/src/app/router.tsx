/** The addresses of the pages. Filters stand in the query, as plain words: a link shows the same. */
import { createRootRoute, createRoute, createRouter } from '@tanstack/react-router';
import { type FunctionComponent, lazy, useState } from 'react';
import { Home } from './home.tsx';
import { NotFound } from './not-found.tsx';
import { PageError } from './page-error.tsx';
import { Root } from './root.tsx';

export type Search = Record<string, string>;

function readSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text));
}

function writeSearch(search: Record<string, unknown>): string {
  const pairs = Object.entries(search).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

const loads = new Map<unknown, () => Promise<unknown>>();

/** A page that is loaded when it is shown, or before by `loadPage`: then it is drawn without a fallback, which React would keep for 300 ms. */
function page(load: () => Promise<{ default: FunctionComponent }>): FunctionComponent {
  let loaded: FunctionComponent | undefined;
  const once = () =>
    load().then((module) => {
      loaded = module.default;
      return module;
    });
  const Late = lazy(once);
  // biome-ignore lint/correctness/noComponentHookFactories: called once for each page, when this module is loaded
  function Page() {
    const [Shown] = useState<FunctionComponent>(() => loaded ?? Late);
    return <Shown />;
  }
  loads.set(Page, once);
  return Page;
}

const root = createRootRoute({ component: Root, notFoundComponent: NotFound, errorComponent: PageError });

const at = (path: string, component: FunctionComponent) =>
  createRoute({
    getParentRoute: () => root,
    path,
    component,
    errorComponent: PageError,
    validateSearch: (search): Search => search as Search,
  });

const mesh = page(() => import('../pages/mesh/page.tsx'));
// Most who come without a page are led there.
loads.set(Home, loads.get(mesh) as () => Promise<unknown>);

const routes = [
  at('/', Home),
  at('/mesh', mesh),
  at(
    '/jobs',
    page(() => import('../pages/jobs/page.tsx')),
  ),
  at(
    '/jobs/$id',
    page(() => import('../pages/job/page.tsx')),
  ),
  at(
    '/portfolios',
    page(() => import('../pages/portfolios/page.tsx')),
  ),
  at(
    '/portfolios/$user',
    page(() => import('../pages/portfolio/page.tsx')),
  ),
  at(
    '/history',
    page(() => import('../pages/history/page.tsx')),
  ),
  at(
    '/picks',
    page(() => import('../pages/picks/users-page.tsx')),
  ),
  at(
    '/picks/$user',
    page(() => import('../pages/picks/page.tsx')),
  ),
  at(
    '/symbols/$symbol',
    page(() => import('../pages/symbol/page.tsx')),
  ),
  ...['/admin', '/admin/$section'].map((path) =>
    at(
      path,
      page(() => import('../pages/admin/page.tsx')),
    ),
  ),
  ...['/options', '/options/$symbol'].map((path) =>
    at(
      path,
      page(() => import('../pages/options/page.tsx')),
    ),
  ),
];

export const router = createRouter({
  routeTree: root.addChildren(routes),
  basepath: '/ui',
  parseSearch: readSearch,
  stringifySearch: writeSearch,
  scrollRestoration: true,
});

/** Loads the page of the present address while the gateway is asked who is signed in: else the one waits for the other. */
export function loadPage(): void {
  const match = router.matchRoutes(router.latestLocation).at(-1);
  const load = match && loads.get(router.routesById[match.routeId as keyof typeof router.routesById].options.component);
  // What is wrong with it is said where it is drawn.
  void load?.().catch(() => {});
}
