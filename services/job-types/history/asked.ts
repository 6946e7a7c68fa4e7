/** Asking for downloads, over HTTP and on the command line. */
import type { Download } from '../../history/dataset.ts';
import { planOf } from '../../history/plan.ts';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { Accepted, Refusal } from '../../ledger/enqueue/submit.ts';
import { TransientError } from '../../platform/errors.ts';
import { type HistoryOptions, historyRequests } from './request.ts';

export interface AskedDownload {
  download: Download;
  /** Objects. */
  items: number;
  /** The first stands for the download. */
  requests: JobRequest[];
}

/** Errors: as `historyRequests`. */
export function askFor(downloads: readonly Download[], options: Omit<HistoryOptions, 'plan'>): AskedDownload[] {
  return downloads.map((download) => {
    const plan = planOf(download);
    return { download, items: plan.length, requests: historyRequests(download, { ...options, plan }) };
  });
}

/** The answer to each download, once their requests were submitted together. Errors: `TransientError` with the code and the reason of the first that a full queue refused. */
export function answersTo(
  asked: readonly AskedDownload[],
  { accepted, refused }: { accepted: readonly Accepted[]; refused: readonly Refusal[] },
): AcceptedDownload[] {
  const taken = new Map(accepted.map((one) => [one.request, one]));
  return asked.map(({ download, items, requests: [main] }) => {
    const one = taken.get(main as JobRequest);
    if (one !== undefined) return acceptedJson(one.answer.id, download, one.outcome, items);
    const { code, reason } = refused.find(({ request }) => request === main) as Refusal;
    throw new TransientError(code, reason);
  });
}

export type AcceptedDownload = ReturnType<typeof acceptedJson>;

/** A download that was asked for, in the terms of the API. */
export function acceptedJson(id: string, download: Download, outcome: Accepted['outcome'], items: number) {
  const { asset, schema, interval, root, from, to } = download;
  const what = `${root} ${asset} ${schema}${interval === '1d' ? '' : ` ${interval}`} from ${from} to ${to}`;
  return {
    status: 'accepted' as const,
    job_id: id,
    message: outcome === 'queued' ? `the download of ${what} is queued` : `the download of ${what} was asked for before; this is its job`,
    status_url: `/v1/jobs/${id}`,
    total_items: items,
    outcome,
  };
}
