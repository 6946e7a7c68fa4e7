/** Waiting for the end of a job: reads it again and again, less often the longer nothing changes. */ /** What waiting needs to know of a job. */ /** The time to wait is over. The job goes on. */ export class WaitTimeoutError extends Error {
    constructor(seconds){
        super(`the job has not ended within ${seconds} s; it goes on`);
        this.name = 'WaitTimeoutError';
    }
}
const ENDED = new Set([
    'completed',
    'completed_with_errors',
    'failed',
    'cancelled',
    'expired'
]);
const STANDARD_PAUSE = {
    first: 250,
    longest: 5_000
};
/** Each pause without a change is so many times as long as the one before. */ const GROWTH = 1.5;
/** The job once it has ended. Errors: `WaitTimeoutError`, the reason of the `signal`, those of `read` that are not temporary. */ export async function waitForJob(read, { onProgress, timeoutMs, signal, pauseMs = STANDARD_PAUSE, isTemporary = ()=>false, changed } = {}) {
    const over = new AbortController();
    const abort = ()=>over.abort(signal?.reason);
    const timer = timeoutMs === undefined ? undefined : setTimeout(()=>over.abort(new WaitTimeoutError(timeoutMs / 1000)), timeoutMs);
    signal?.addEventListener('abort', abort, {
        once: true
    });
    if (signal?.aborted) abort();
    try {
        let seen = '';
        let pause = pauseMs.first;
        for(;;){
            over.signal.throwIfAborted();
            const job = await read(over.signal).catch((error)=>{
                over.signal.throwIfAborted();
                if (isTemporary(error)) return undefined;
                throw error;
            });
            const now = job === undefined ? seen : JSON.stringify([
                job.status,
                job.progress
            ]);
            if (job !== undefined && now !== seen) onProgress?.(job);
            if (job !== undefined && ENDED.has(job.status)) return job;
            pause = now === seen ? Math.min(pause * GROWTH, pauseMs.longest) : pauseMs.first;
            seen = now;
            await pauseFor(pause, over.signal, changed);
        }
    } finally{
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        over.abort();
    }
}
/** Ends early when the job may have changed. Errors: the reason of the signal. */ async function pauseFor(ms, signal, changed) {
    const early = new AbortController();
    const stop = ()=>early.abort(signal.reason);
    signal.addEventListener('abort', stop, {
        once: true
    });
    let timer;
    try {
        await Promise.race([
            new Promise((resolve, reject)=>{
                timer = setTimeout(resolve, ms);
                early.signal.addEventListener('abort', ()=>reject(early.signal.reason), {
                    once: true
                });
            }),
            ...changed === undefined ? [] : [
                changed(early.signal)
            ]
        ]);
    } finally{
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        early.abort();
    }
}
