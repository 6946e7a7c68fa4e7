/** The addresses of the pages. Filters stand in the query, as plain words: a link shows the same. */
import { createRootRoute, createRoute, createRouter, Navigate } from '@tanstack/react-router';
import { type FunctionComponent, lazy } from 'react';
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

const page = (load: () => Promise<{ default: FunctionComponent }>) => lazy(load);

const root = createRootRoute({ component: Root, notFoundComponent: NotFound, errorComponent: PageError });

const at = (path: string, component: FunctionComponent) =>
  createRoute({
    getParentRoute: () => root,
    path,
    component,
    errorComponent: PageError,
    validateSearch: (search): Search => search as Search,
  });

const routes = [
  at('/', Home),
  at(
    '/mesh',
    page(() => import('../pages/mesh/page.tsx')),
  ),
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
    '/symbols/$symbol',
    page(() => import('../pages/symbol/page.tsx')),
  ),
  at('/admin', () => <Navigate to="/admin/$section" params={{ section: 'schedules' }} replace />),
  at(
    '/admin/$section',
    page(() => import('../pages/admin/page.tsx')),
  ),
];

export const router = createRouter({
  routeTree: root.addChildren(routes),
  basepath: '/ui',
  parseSearch: readSearch,
  stringifySearch: writeSearch,
  scrollRestoration: true,
});
