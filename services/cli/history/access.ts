/** What the commands of history need of a mesh, in the shapes of the HTTP API: of the mesh of this data folder, or of a gateway anywhere. */
import type { Writable } from 'node:stream';
import type { paths } from '../../client/openapi.ts';
import type { GlobalOptions } from '../session.ts';

type Answer<Path extends keyof paths, Method extends 'get' | 'post', Status extends number> = paths[Path] extends {
  [M in Method]: { responses: { [S in Status]: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;
type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } } ? NonNullable<Q> : never;

export type Asset = 'option' | 'stock';
export type DownloadBody = paths['/v1/historical/option']['post']['requestBody']['content']['application/json'];
export type GapsBody = paths['/v1/history/gaps']['post']['requestBody']['content']['application/json'];
export type Accepted = Answer<'/v1/historical/option', 'post', 202>;
export type Preview = Extract<Answer<'/v1/historical/option', 'post', 200>, { dry_run: true }>;
export type Status = Answer<'/jobs/{id}', 'get', 200>;
export type Item = Answer<'/v1/jobs/{id}/items', 'get', 200>['items'][number];
/** Of all pages. */
export type Coverage = Omit<Answer<'/v1/history/coverage', 'get', 200>, 'next'>;
export type CoverageQuery = Omit<Query<'/v1/history/coverage'>, 'cursor'>;
export type Objects = Answer<'/v1/history/objects', 'get', 200>;
export type ObjectsQuery = Query<'/v1/history/objects'>;
export type StoredObject = Answer<'/v1/history/objects/{key}', 'get', 200>;
export type Chain = Answer<'/v1/history/chain', 'get', 200>;
export type ChainQuery = Query<'/v1/history/chain'>;
export type ExportQuery = Query<'/v1/history/export'>;

export interface HistoryAccess {
  submit(asset: Asset, body: DownloadBody): Promise<Accepted>;
  preview(asset: Asset, body: DownloadBody): Promise<Preview>;
  fill(body: GapsBody): Promise<{ days: number; jobs: Accepted[] }>;
  status(id: string): Promise<Status>;
  /** The first items in this state. */
  items(id: string, state: Item['state'], limit: number): Promise<Item[]>;
  coverage(query: CoverageQuery): Promise<Coverage>;
  objects(query: ObjectsQuery): Promise<Objects>;
  object(key: string, rows: number): Promise<StoredObject>;
  chain(query: ChainQuery): Promise<Chain>;
  /** Ends `out`. */
  exportTo(query: ExportQuery, out: Writable): Promise<void>;
  /** Whether reading may work later. */
  isTemporary(error: unknown): boolean;
}

export interface AccessOptions extends GlobalOptions {
  /** Address of a gateway; the key to it is in `STOCKMESH_KEY`. */
  gateway?: string | undefined;
}

/** Runs a command over the mesh that the options name. Errors: those of `withSession`; of a gateway `ProblemError`, `InputError('gateway.no_key')`, `TransientError('gateway.unreachable')`. */
export async function withHistory<T>(options: AccessOptions, work: (history: HistoryAccess) => Promise<T>): Promise<T> {
  if (options.gateway !== undefined) return work((await import('./remote.ts')).remoteHistory(options.gateway));
  const { withLocalHistory } = await import('./local.ts');
  return withLocalHistory(options, work);
}
