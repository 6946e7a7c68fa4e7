/** The types of the HTTP API, made of its OpenAPI document: `npx vitest run test/client/generated.test.ts -u`. */
/* eslint-disable */

export interface paths {
  "/healthz": {
    /** Alive */
    get: operations['isAlive'];
  };
  "/readyz": {
    /** Ready: database, broker, subscriptions */
    get: operations['isReady'];
  };
  "/metrics": {
    /** Prometheus */
    get: operations['readMetrics'];
  };
  "/v1/events/login": {
    /** A user has signed in */
    post: operations['signIn'];
  };
  "/v1/job-types": {
    /** What can be asked for, with the schema of each body */
    get: operations['listJobTypes'];
  };
  "/v1/find": {
    /** Symbols, users and jobs whose name or id begins so */
    get: operations['find'];
  };
  "/v1/jobs": {
    /** Jobs, newest first or in another order */
    get: operations['listJobs'];
    /** Ask for work */
    post: operations['requestJobs'];
  };
  "/v1/jobs/counts": {
    /** How many jobs a filter finds, by state */
    get: operations['countJobs'];
  };
  "/v1/jobs/codes": {
    /** Jobs that ended other than completed, by code, the largest group first */
    get: operations['groupJobsByCode'];
  };
  "/v1/jobs/bulk": {
    /** Cancel, retry or redrive many jobs */
    post: operations['changeJobs'];
  };
  "/v1/jobs/{id}": {
    /** One job with all that led to it */
    get: operations['readJob'];
  };
  "/jobs/{id}": {
    /** One job, for earlier clients */
    get: operations['readJobStatus'];
  };
  "/v1/jobs/{id}/items": {
    /** The items of a job of many */
    get: operations['listJobItems'];
  };
  "/v1/jobs/{id}/callbacks": {
    /** The webhooks that are called when the job has ended, and the state of each delivery */
    get: operations['listJobCallbacks'];
  };
  "/v1/jobs/{id}/cancel": {
    /** Cancel a job that has not ended */
    post: operations['cancelJob'];
  };
  "/v1/jobs/{id}/retry": {
    /** Start an ended job again, or a scheduled one now */
    post: operations['retryJob'];
  };
  "/v1/jobs/redrive": {
    /** Start all ended jobs of a kind again */
    post: operations['redriveJobs'];
  };
  "/v1/jobs/{id}/events": {
    /** The states and the progress of one job, as server-sent events */
    get: operations['streamJob'];
  };
  "/v1/symbols/{symbol}": {
    /** All that is known of a symbol */
    get: operations['readSymbol'];
  };
  "/v1/symbols/{symbol}/bars": {
    /** Daily bars, ascending */
    get: operations['listBars'];
  };
  "/v1/symbols/{symbol}/indicators": {
    /** Indicators of each bar, as columns */
    get: operations['listIndicators'];
  };
  "/v1/symbols/{symbol}/analysis": {
    /** The signal and its reasons, and the opinion of a language model */
    get: operations['readAnalysis'];
  };
  "/v1/symbols/{symbol}/signals": {
    /** The signals of a symbol day by day, newest first */
    get: operations['listSignals'];
  };
  "/v1/symbols/{symbol}/research": {
    /** Fundamentals and headlines, each with source and as-of */
    get: operations['readResearch'];
  };
  "/v1/symbols/{symbol}/chain": {
    /** The newest chain of a symbol: calls and puts by strike */
    get: operations['readChain'];
  };
  "/v1/symbols/{symbol}/volatility": {
    /** The implied volatilities of the newest chain: by strike, by expiration and over time */
    get: operations['readVolatility'];
  };
  "/v1/rankings/symbols": {
    /** Symbols that have a ranking, then those that are held */
    get: operations['listRankedSymbols'];
  };
  "/v1/users": {
    /** Users with how many symbols they hold, how fresh those are, and their last login */
    get: operations['listUsers'];
  };
  "/v1/users/{id}/logins": {
    /** The last logins of a user, newest first: what each queued and skipped, why, and how its jobs are */
    get: operations['listLogins'];
  };
  "/v1/users/{id}/portfolio/import": {
    /** Replace a user's portfolio by a CSV file, or see what that would change */
    post: operations['importPortfolio'];
  };
  "/v1/users/{id}/portfolio": {
    /** What a user holds and watches */
    get: operations['readPortfolio'];
    /** Replace what a user holds and watches */
    put: operations['replacePortfolio'];
  };
  "/v1/users/{id}/portfolio/freshness": {
    /** How fresh each holding is */
    get: operations['readPortfolioFreshness'];
  };
  "/v1/rankings": {
    /** The newest ranking of a symbol's options */
    get: operations['readRanking'];
    /** Ask for the ranking of a symbol's options, or of many symbols' */
    post: operations['requestRankings'];
  };
  "/v1/users/{id}/positions": {
    /** A user's option positions */
    get: operations['listPositions'];
    /** Replace a user's option positions */
    put: operations['replacePositions'];
  };
  "/v1/users/{id}/positions/{position}": {
    /** Remove one option position */
    delete: operations['removePosition'];
  };
  "/functions/v1/trigger-ranking-job": {
    /** Ask for the ranking of a symbol's options, for earlier clients */
    post: operations['triggerRankingJob'];
  };
  "/functions/v1/options-rankings": {
    /** The newest ranking of a symbol's options, for earlier clients */
    get: operations['readOptionsRankings'];
  };
  "/v1/picks": {
    /** Everybody who gets a weekly report, with the newest one of each */
    get: operations['listPicksUsers'];
  };
  "/v1/users/{id}/picks": {
    /** A user's weekly stock picks */
    get: operations['readPicks'];
    /** Make a user's report of this week */
    post: operations['makePicks'];
  };
  "/v1/users/{id}/picks/history": {
    /** A user's reports, newest first */
    get: operations['listPicks'];
  };
  "/v1/users/{id}/picks/record": {
    /** What a user's picks returned */
    get: operations['readPicksRecord'];
  };
  "/v1/users/{id}/profile": {
    /** A user's profile */
    get: operations['readProfile'];
    /** Replace a user's profile */
    put: operations['replaceProfile'];
  };
  "/v1/spend": {
    /** What the language model cost */
    get: operations['listSpend'];
  };
  "/v1/spend/{id}/settle": {
    /** Say what a call of unknown payment cost, by the provider's bill */
    post: operations['settleSpend'];
  };
  "/v1/cron/weekly-picks": {
    /** Start the weekly run */
    post: operations['startWeeklyPicks'];
  };
  "/v1/historical/option": {
    /** Download the history of a root's options */
    post: operations['requestOptionHistory'];
  };
  "/v1/historical/stock": {
    /** Download the history of a stock */
    post: operations['requestStockHistory'];
  };
  "/historical/option": {
    /** Download the history of a root's options, for earlier clients */
    post: operations['requestHistoricalOption'];
  };
  "/v1/history/gaps": {
    /** Download the days of a range that are missing, failed or partial */
    post: operations['fillHistoryGaps'];
  };
  "/v1/history/coverage": {
    /** Which days of a dataset are stored, and why the others are not */
    get: operations['readHistoryCoverage'];
  };
  "/v1/history/downloads": {
    /** The downloads that were asked for, with the progress and the pace of each */
    get: operations['listHistoryDownloads'];
  };
  "/v1/history/objects": {
    /** Stored objects, in the order of their keys */
    get: operations['listHistoryObjects'];
  };
  "/v1/history/objects/{key}": {
    /** One object: its row in the manifest, its columns, its first rows */
    get: operations['readHistoryObject'];
  };
  "/v1/history/objects/{key}/data": {
    /** The Parquet file */
    get: operations['downloadHistoryObject'];
  };
  "/v1/history/chain": {
    /** The chain of a root at a moment, from the stored files */
    get: operations['readHistoryChain'];
  };
  "/v1/history/export": {
    /** The rows of a range as CSV */
    get: operations['exportHistory'];
  };
  "/v1/stats": {
    /** Statistics of the mesh */
    get: operations['readStatistics'];
  };
  "/v1/workers": {
    /** Instances that are alive, with what each runs */
    get: operations['listWorkers'];
  };
  "/v1/alerts": {
    /** Alerts, those that are raised first, each with what to do */
    get: operations['listAlerts'];
  };
  "/v1/auto-fetch": {
    /** Whether the mesh fetches by itself */
    get: operations['readAutoFetch'];
    /** Switch automatic fetching on or off */
    post: operations['switchAutoFetch'];
  };
  "/v1/stats/history": {
    /** Statistics over time */
    get: operations['readStatisticsHistory'];
  };
  "/v1/sources": {
    /** The market sources and how they answer */
    get: operations['listSources'];
  };
  "/v1/keys": {
    /** All keys, the newest first */
    get: operations['listKeys'];
    /** Make a key */
    post: operations['createKey'];
  };
  "/v1/keys/{id}/rotate": {
    /** Give a key a new secret */
    post: operations['rotateKey'];
  };
  "/v1/keys/{id}/webhook-secret": {
    /** Give the webhooks of a key a new secret */
    post: operations['rotateWebhookSecret'];
  };
  "/v1/keys/{id}/revoke": {
    /** Revoke a key */
    post: operations['revokeKey'];
  };
  "/v1/audit": {
    /** Who changed what by hand, and who was refused, newest first */
    get: operations['listAudit'];
  };
  "/v1/events/token": {
    /** A token that opens event streams */
    post: operations['createStreamToken'];
  };
  "/v1/schedules": {
    /** The schedules of the configuration: the next run, and what became of the last one */
    get: operations['listSchedules'];
  };
  "/v1/schedules/{name}/run": {
    /** Run a schedule now */
    post: operations['runSchedule'];
  };
  "/v1/config": {
    /** The configuration that this gateway runs with, and where each value comes from */
    get: operations['readConfiguration'];
  };
  "/v1/workers/{instance}/drain": {
    /** Let a service finish its work and end */
    post: operations['drainInstance'];
  };
  "/v1/notifications": {
    /** The last messages to people, the newest first, each with what became of it */
    get: operations['listNotifications'];
  };
  "/v1/notifications/routes": {
    /** Who is told of what: the routes of the configuration */
    get: operations['listNotificationRoutes'];
  };
  "/v1/notifications/routes/{name}/test": {
    /** Send a message by a route, to try it */
    post: operations['testNotificationRoute'];
  };
  "/v1/session": {
    /** Sign a browser in */
    post: operations['openSession'];
    /** Sign a browser out */
    delete: operations['closeSession'];
  };
  "/v1/me": {
    /** The key of this request, and what it may do */
    get: operations['readMe'];
  };
  "/v1/events": {
    /** The live stream */
    get: operations['streamEvents'];
  };
  "/v1/unsubscribe": {
    /** The page of the link in a mail, with a button that ends messages of its kind */
    get: operations['showSubscription'];
    /** End messages of the kind of a mail, or undo that */
    post: operations['changeSubscription'];
  };
}

export interface components {
  schemas: {
    JobRequestInput: {
      type: "fetch";
      symbol: string;
      /** false: bars only, no analysis of them */
      analyse?: boolean;
      /** For earlier clients: with it the request is a `backfill` */
      from?: string;
      to?: string;
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    } | {
      type: "batch_fetch";
      symbols?: string[];
      portfolio?: string;
      /** false: bars only, no analysis of them */
      analyse?: boolean;
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    } | {
      type: "backfill";
      symbol: string;
      from: string;
      /** Today when left out */
      to?: string;
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    } | {
      type: "analysis";
      symbol: string;
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    } | {
      type: "rank";
      symbol: string;
      /** monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close */
      mode?: "monitor" | "entry" | "exit";
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    } | {
      type: "research";
      symbol: string;
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    } | {
      type: "llm_analysis";
      symbol: string;
      /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
      priority?: number;
      /** The user who waits for it: it counts against the slots of this user, who is notified */
      user?: string;
      /** Called with a signed POST when the job has ended */
      callback_url?: string;
    };
    Problem: {
      /** `urn:stockmesh:problem:` and the code */
      type: string;
      title: string;
      status: number;
      /** What happened, to which value, and the way out */
      detail: string;
      /** The path of the request, where the server could read it */
      instance?: string;
      /** Never changes; for programs */
      code: string;
      /** The configuration key of the limit that is used up */
      quota?: string;
      /** The fields of the request that are not right, of very many the first */
      errors?: {
        in: "body" | "query" | "path" | "header";
        field: string;
        message: string;
      }[];
    };
    JobSummary: {
      id: string;
      type: string;
      symbol: string | null;
      /** What its worker must have, such as region:eu; null: any worker may run it */
      capability: string | null;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      queue: "foreground" | "background_fetch" | "background_analysis";
      /** 1 (most urgent) to 10 */
      priority: number;
      /** 0-1, orders jobs of one priority; null for a key of a user where another user is the reason of the priority */
      score: number | null;
      attempt: number;
      max_attempts: number;
      /** Who asked first; a key of a user sees that user */
      user: string | null;
      worker: string | null;
      blocked_on: ("slot" | "dependency") | null;
      /** Of a scheduled job: when it starts */
      run_at: string | null;
      enqueued_at: string;
      started_at: string | null;
      ended_at: string | null;
      /** Why it ended other than completed, or waits for its next attempt or for some workers alone */
      reason: string | null;
      /** Why it ended other than completed, for programs */
      code: string | null;
    };
    ItemCounts: {
      pending: number;
      done: number;
      skipped: number;
      no_data: number;
      failed: number;
      /** The account of the source may not read them */
      not_entitled: number;
      /** Their data is not there yet */
      not_yet: number;
      total: number;
    };
    JobStatus: {
      job_id: string;
      status: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      progress: {
        completed: number;
        skipped: number;
        no_data: number;
        failed: number;
        not_entitled: number;
        not_yet: number;
        total: number;
        /** 0-100 */
        percentage: number;
      };
      /** Until it is done, by what was measured; null when nothing was */
      eta_seconds: number | null;
      created_at: string;
      updated_at: string;
      error_message: string | null;
    };
    JobLink: {
      id: string;
      type: string;
      symbol: string | null;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      /** One is a part of the other, whose items are counted there */
      is_part: boolean;
    };
    JobDetail: {
      id: string;
      type: string;
      symbol: string | null;
      /** What its worker must have, such as region:eu; null: any worker may run it */
      capability: string | null;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      queue: "foreground" | "background_fetch" | "background_analysis";
      /** 1 (most urgent) to 10 */
      priority: number;
      /** 0-1, orders jobs of one priority; null for a key of a user where another user is the reason of the priority */
      score: number | null;
      attempt: number;
      max_attempts: number;
      /** Who asked first; a key of a user sees that user */
      user: string | null;
      worker: string | null;
      blocked_on: ("slot" | "dependency") | null;
      /** Of a scheduled job: when it starts */
      run_at: string | null;
      enqueued_at: string;
      started_at: string | null;
      ended_at: string | null;
      /** Why it ended other than completed, or waits for its next attempt or for some workers alone */
      reason: string | null;
      /** Why it ended other than completed, for programs */
      code: string | null;
      payload: unknown;
      /** How it came to its priority: `text`, the `user` whose request gave it, and if it was scored its factors. null: as for `score` */
      why: {
        [name: string]: unknown;
      } | null;
      /** null: as for `score` */
      triggered_by: string | null;
      /** A key of a user sees what says nothing of other users */
      result: unknown;
      /** All that have ended; the one that completed is the last */
      attempts: {
        attempt: number;
        worker: string | null;
        started_at: string | null;
        ended_at: string;
        outcome: string;
        code: string | null;
        reason: string | null;
      }[];
      subscribers: string[];
      /** Jobs that it waits for, or waited for */
      needs: components['schemas']['JobLink'][];
      /** Jobs that wait for it, or waited for it */
      dependents: components['schemas']['JobLink'][];
      items: components['schemas']['ItemCounts'];
      /** Jobs that are claimed before it */
      position: number | null;
      job_id: string;
      status: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      progress: {
        completed: number;
        skipped: number;
        no_data: number;
        failed: number;
        not_entitled: number;
        not_yet: number;
        total: number;
        /** 0-100 */
        percentage: number;
      };
      /** Until it is done, by what was measured; null when nothing was */
      eta_seconds: number | null;
      created_at: string;
      updated_at: string;
      error_message: string | null;
    };
    JobChange: {
      id: string;
      type: string;
      symbol: string | null;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      attempt: number;
      worker: string | null;
      reason: string | null;
    };
    Notification: {
      id: string;
      route: string;
      /** email, webhook or requester */
      channel: string;
      /** An e-mail address without its middle, the host of a webhook, or a user */
      recipient: string;
      /** open: gathers events; sending: is tried; failed: refused for good, or given up; suppressed: not to be sent; bounced: taken, and then returned */
      state: "open" | "sending" | "sent" | "failed" | "suppressed" | "bounced";
      severity: "info" | "warning" | "critical";
      /** When it is tried, or when it ended */
      at: string;
      attempts: number;
      /** Why it was not sent, is tried again, was delayed, or came back */
      reason: string | null;
      /** Of the mail server, where it gave one, such as 5.1.1 (RFC 3463) */
      code: string | null;
      created_at: string;
      /** The name of its first event; null: it was deleted meanwhile */
      event: string | null;
      events: number;
    };
    StoppedAddress: {
      /** Without its middle */
      address: string;
      code: string;
      reason: string;
      stopped_at: string;
    };
    Schedule: {
      name: string;
      job: string;
      cron: string;
      time_zone: string;
      skip_holidays: boolean;
      /** null: its expression has no time any more */
      next_run_at: string | null;
      /** Why that run will be skipped, as far as it is known now */
      next_skipped: string | null;
      /** When the newest run was due; null: none was yet */
      last_run_at: string | null;
      /** When it was started or skipped */
      decided_at: string | null;
      /** Why it was skipped; null: it was started */
      skipped: string | null;
      /** Jobs that it made */
      queued: number | null;
      joined: number | null;
      refused: number | null;
    };
    ApiKey: {
      /** It stays when the secret is renewed */
      id: string;
      name: string;
      scopes: string[];
      state: "in force" | "expired" | "revoked";
      created_at: string;
      expires_at: string | null;
      /** To the minute */
      last_used_at: string | null;
      rotated_at: string | null;
      /** Until then the secret before the present one works too */
      old_until: string | null;
      revoked_at: string | null;
    };
    Me: {
      key: {
        id: string;
        name: string;
      };
      /** As the key has them */
      scopes: string[];
      /** Of all users, with those that another scope includes */
      may: ("read" | "jobs" | "login" | "admin")[];
      /** Whose portfolio, logins and jobs it sees beside that */
      users: string[];
      version: string;
      /** Of the exchange, as an IANA name */
      zone: string;
      base_currency: string;
      /** null: the request shows a key and no session */
      session_expires_at: string | null;
      /** Now, by the clock of the mesh */
      at: string;
    };
    HistoryDownload: {
      job_id: string;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      root: string;
      dataset: "option" | "stock";
      schema: "quote" | "ohlc" | "eod" | "earnings";
      interval: string;
      from: string;
      to: string;
      /** Of a filtered download; null for the whole chain */
      max_dte: number | null;
      base_pct: number | null;
      force_refresh: boolean;
      /** Who asked first; a key of a user sees that user */
      user: string | null;
      /** Its objects, those of its parts too */
      items: components['schemas']['ItemCounts'];
      /** By what was tried in the last five minutes; null for fewer than two */
      items_per_minute: number | null;
      /** Until the last object was tried, at that pace */
      eta_seconds: number | null;
      enqueued_at: string;
      started_at: string | null;
      ended_at: string | null;
      reason: string | null;
      code: string | null;
    };
    HistoryObject: {
      key: string;
      root: string;
      dataset: "option" | "stock";
      schema: "quote" | "ohlc" | "eod" | "earnings";
      interval: string;
      /** Of a filtered object; null for the whole chain */
      max_dte: number | null;
      base_pct: number | null;
      /** First calendar day of its period */
      from: string;
      to: string;
      rows: number;
      bytes: number;
      sha256: string;
      /** Its period was not over, or trading days of it are missing */
      is_partial: boolean;
      degraded: string | null;
      source: string;
      /** When the source was asked */
      as_of: string;
      stored_at: string;
    };
    DownloadPreview: {
      dry_run: true;
      /** Objects of the download */
      total_items: number;
      /** Objects by the worst state of their days */
      counts: {
        [name: string]: number;
      };
      to_download: number;
      /** Objects by what the job would make of them. skipped, no_data, not_yet: it ends with that, and asks no source */
      expected: {
        download: number;
        skipped: number;
        no_data: number;
        not_yet: number;
      };
      /** null: no source of history.sources can give it; `warnings` say why */
      source: string | null;
      /** Requests to the source */
      calls: number | null;
      /** By like objects that are stored; null where there are none */
      estimated_rows: number | null;
      estimated_bytes: number | null;
      /** By the pace of the newest like objects; null where nothing was measured */
      estimated_seconds: number | null;
      warnings: string[];
      objects: {
        key: string;
        /** Trading days of the range */
        days: number;
        state: "complete" | "degraded" | "partial" | "empty" | "failed" | "not_entitled" | "pending" | "missing" | "closed";
        expected: "download" | "skipped" | "no_data" | "not_yet";
        download: boolean;
        /** Of one that is not there yet, or that is asked for once more: not before */
        from: string | null;
      }[];
    };
    GapsPreview: {
      dry_run: true;
      /** Objects of the download */
      total_items: number;
      to_download: number;
      /** Objects by what the job would make of them. skipped, no_data, not_yet: it ends with that, and asks no source */
      expected: {
        download: number;
        skipped: number;
        no_data: number;
        not_yet: number;
      };
      /** null: no source of history.sources can give it; `warnings` say why */
      source: string | null;
      /** Requests to the source */
      calls: number | null;
      estimated_bytes: number | null;
      /** Days that would be asked for */
      days: number;
      /** The ranges of such days: a job each */
      downloads: {
        from: string;
        to: string;
      }[];
      /** By the pace of the newest like objects; null where nothing was measured */
      estimated_seconds: number | null;
      warnings: string[];
    };
    AcceptedDownload: {
      status: "accepted";
      job_id: string;
      message: string;
      status_url: string;
      /** Objects of the download */
      total_items: number;
      /** joined: the same download was asked for before; this is its job */
      outcome: "queued" | "joined";
    };
    BulkAnswer: {
      /** Jobs that the action can change, of this slice; with dry_run of all that were looked at */
      matched: number;
      /** dry_run: there may be more than were looked at */
      at_least: boolean;
      /** Ids of those that changed; empty with dry_run */
      done: string[];
      /** Those that were left as they are, with the reason */
      left: {
        id: string;
        code: "job.unknown" | "job.ended" | "job.live" | "job.superseded";
        reason: string;
      }[];
      /** `cursor` of the next slice of a filter; null: all are done */
      next: string | null;
    };
    JobType: {
      name: string;
      about: string;
      /** Its jobs have items, each with a state of its own */
      has_items: boolean;
      /** JSON schema (draft 2020-12) of the body of `POST /v1/jobs`; null: it is not asked for there */
      body: {
        [name: string]: unknown;
      } | null;
    };
    ChainContract: {
      contract: string;
      /** Dollars a share; null: not quoted on both sides */
      mid: number | null;
      /** Of a ranked contract; of the others only the middle is kept */
      bid: number | null;
      ask: number | null;
      /** Annual, 0.25 is 25 % */
      iv: number | null;
      volume: number | null;
      open_interest: number | null;
      /** Its place in the published ranking of this mode; null: it is not among those that are kept */
      entry: {
        place: number;
        rank: number;
        band: string;
      } | null;
      monitor: {
        place: number;
        rank: number;
        band: string;
      } | null;
    };
    Expiry: {
      expiry: string;
      /** Calendar days from the session */
      days: number;
      calls: number;
      puts: number;
      volume: number;
      open_interest: number;
      /** At the spot, between the strikes around it */
      atm_iv: number | null;
    };
    Chain: {
      symbol: string;
      /** Of the session */
      date: string;
      as_of: string;
      source: string;
      /** true for made-up quotes */
      simulated: boolean;
      /** Of the newest ranking, dollars a share; else the newest close */
      spot: number | null;
      expiries: components['schemas']['Expiry'][];
      expiry: string | null;
      /** Of the expiration, ascending */
      strikes: {
        root: string;
        strike: number;
        call: components['schemas']['ChainContract'] | null;
        put: components['schemas']['ChainContract'] | null;
      }[];
    };
    Volatility: {
      symbol: string;
      /** Of the session */
      date: string;
      as_of: string;
      source: string;
      /** true for made-up quotes */
      simulated: boolean;
      /** Of the newest ranking, dollars a share; else the newest close */
      spot: number | null;
      /** At the money, by expiration */
      term: {
        expiry: string;
        days: number;
        atm_iv: number;
      }[];
      /** Contracts out of the money, by strike */
      smiles: {
        expiry: string;
        days: number;
        points: {
          strike: number;
          side: "call" | "put";
          moneyness: number;
          iv: number;
        }[];
      }[];
      /** 30-day volatility at the money, by session */
      history: {
        date: string;
        iv: number;
      }[];
    };
    RankedSymbol: {
      symbol: string;
      /** By a user whose holdings the caller may see */
      held: boolean;
      /** true where the newest ranking is of made-up quotes */
      simulated: boolean;
      rankings: {
        mode: "monitor" | "entry" | "exit";
        run_at: string;
      }[];
      /** Of the newest ranking: at the money in 30 days, annual, 0.25 is 25 % */
      atm_iv: number | null;
      iv_rank: number | null;
    };
    StatsHistory: {
      from: string;
      to: string;
      /** Seconds */
      step: number;
      /** The begin of each step */
      at: string[];
      /** One value for each step; null where nothing was written, such as in an outage. `ready`, `ready.foreground`, `completed`, `completed.fetch`, `codes.source.timeout`, `login_fresh_p99`, `sources.yahoo_finance.errors` and so on */
      series: {
        [name: string]: (number | null)[];
      };
    };
    Source: {
      source: string;
      /** false: a source of option chains alone, or one that an earlier configuration named */
      is_configured: boolean;
      /** From 1, in the order in which they are asked */
      place: number | null;
      /** failing: the last answer was a failure; paused: some worker does not ask it, after repeated failures */
      state: "unasked" | "ok" | "failing" | "paused";
      paused_until: string | null;
      /** Workers */
      paused_by: string[];
      /** Since the workers have started */
      answers: number;
      errors: number;
      last_ok_at: string | null;
      last_error_at: string | null;
      last_code: string | null;
      last_error: string | null;
      /** Of the last five minutes */
      p95_s: number | null;
      /** Requests of all workers in the present minute; null: no limit */
      budget: {
        limit: number;
        used: number;
        left: number;
        resets_at: string | null;
      } | null;
    };
    PicksReport: {
      week_of: string;
      version: number;
      source: "llm" | "quant" | "sample";
      simulated: boolean;
      data_date: string;
      generated_at: string;
      tickers: string[];
    };
    PortfolioImport: {
      user: string;
      dry_run: boolean;
      /** With dry_run: of the portfolio that the file was compared with, for `if-match`; else of the new one */
      version: string;
      added: number;
      changed: number;
      removed: number;
      unchanged: number;
      /** The first 1,000 */
      changes: {
        symbol: string;
        change: "added" | "changed" | "removed";
        /** As it is stored; null for an added one */
        from: {
          quantity: number;
          cost: number | null;
        } | null;
        /** As the file has it; null for a removed one */
        to: {
          quantity: number;
          cost: number | null;
        } | null;
      }[];
      /** Lines that are no position, with why; the first 200 */
      wrong: {
        line: number;
        text: string;
        reason: string;
      }[];
      wrong_lines: number;
    };
    Freshness: {
      /** outdated: the sources were asked lately and have nothing newer */
      state: "fresh" | "outdated" | "stale" | "missing";
      /** Sessions that have started since the newest bar; without a calendar weekdays, of a crypto currency days */
      sessions_behind: number | null;
      age_minutes: number | null;
      threshold_minutes: number;
      /** open, closed, weekend; none for a symbol without a calendar */
      session: string;
      /** When it becomes due to be asked for again, or became */
      due_at: string | null;
      /** The last answer of the sources, where that was a failure. Before `asked_again` only requests by hand ask again */
      failure: {
        since: string;
        last_asked: string;
        asked_again: string;
        times: number;
        code: string;
        reason: string;
      } | null;
      reason: string;
    };
    Bar: {
      date: string;
      open: number;
      high: number;
      low: number;
      close: number;
      adjusted_close: number;
      volume: number;
    };
    Analysis: {
      /** outdated: the sources were asked lately and have nothing newer */
      state: "fresh" | "outdated" | "stale" | "missing";
      /** Sessions that have started since the newest bar; without a calendar weekdays, of a crypto currency days */
      sessions_behind: number | null;
      age_minutes: number | null;
      threshold_minutes: number;
      /** open, closed, weekend; none for a symbol without a calendar */
      session: string;
      /** When it becomes due to be asked for again, or became */
      due_at: string | null;
      /** The last answer of the sources, where that was a failure. Before `asked_again` only requests by hand ask again */
      failure: {
        since: string;
        last_asked: string;
        asked_again: string;
        times: number;
        code: string;
        reason: string;
      } | null;
      reason: string;
      /** Of the newest bar used */
      date: string | null;
      computed_at: string | null;
      signal: ("buy" | "sell" | "hold") | null;
      /** 0-1 */
      confidence: number | null;
      bars_used: number | null;
      reasons: {
        indicator: string;
        observation: string;
        points: number;
        weight: number;
      }[];
      indicators: {
        [name: string]: number | null;
      } | null;
    };
    PastSignal: {
      /** Of the newest bar used */
      date: string;
      computed_at: string;
      signal: "buy" | "sell" | "hold";
      /** 0-1 */
      confidence: number;
      bars_used: number;
      /** On that day, as it was traded */
      close: number | null;
      reasons: {
        indicator: string;
        observation: string;
        points: number;
        weight: number;
      }[];
    };
    CorporateActions: {
      date: string;
      kind: "split" | "dividend";
      value: number;
    }[];
    LastLogin: {
      at: string;
      /** Symbols held and watched */
      total: number;
      queued: number;
      fresh: number;
      /** When the last of its jobs had completed; null: it had none, one failed, or they are not done */
      fresh_at: string | null;
      seconds_to_fresh: number | null;
    };
    User: {
      user: string;
      held: number;
      watched: number;
      /** Of held and watched symbols, by the state of their price */
      prices: {
        fresh: number;
        outdated: number;
        stale: number;
        missing: number;
      };
      /** The greatest age of a price; null without any */
      oldest_price_minutes: number | null;
      last_login: components['schemas']['LastLogin'] | null;
    };
    LoginDecision: {
      symbol: string;
      /** joined: all of its jobs were asked for before */
      outcome: "queued" | "joined" | "fresh" | "outdated" | "missing" | "unknown" | "refused";
      /** Why it has no job, or why one was refused */
      reason: string | null;
      jobs: {
        id: string;
        type: string;
        joined: boolean;
        priority: number;
        /** null for a key of a user where the job was asked for before */
        score: number | null;
        /** null: the job is not kept any more */
        state: ("scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired") | null;
        ended_at: string | null;
        reason: string | null;
      }[];
    };
    AcceptedJob: {
      id: string;
      type: string;
      symbol: string | null;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      /** joined: the same work was asked for before; this is its job */
      outcome: "queued" | "joined";
      queue: "foreground" | "background_fetch" | "background_analysis";
      priority: number;
      /** null for a key of a user where another user is the reason of the priority */
      score: number | null;
      /** Jobs that are claimed before it; null for one that starts later */
      position: number | null;
      /** Position × median duration of the type ÷ live worker slots; null when nothing was measured yet or no worker is alive */
      estimated_start_seconds: number | null;
      estimated_completion_seconds: number | null;
      status_url: string;
      /** Which of the requests it is for, from 0 */
      request: number;
    };
    RefusedJob: {
      request: number;
      type: string;
      symbol: string | null;
      code: string;
      reason: string;
    };
    SubmittedRanking: {
      message: string;
      symbol: string;
      mode: "monitor" | "entry" | "exit";
      jobId: string;
      state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
      /** joined: the same was asked for before; this is its job */
      outcome: "queued" | "joined";
      /** 1 (most urgent) to 10 */
      priority: number;
      /** Jobs that are claimed before it; 0 for one that runs or has ended, null for one that starts later */
      queuePosition: number | null;
      /** By what was measured: jobs before it × median duration ÷ live worker slots, the fetch of its bars included; null when nothing was measured yet */
      estimatedCompletionSeconds: number | null;
      statusUrl: string;
      rankingUrl: string;
    };
    SubmittedRankings: {
      /** In the order of the symbols, each once */
      rankings: components['schemas']['SubmittedRanking'][];
      refused: {
        symbol: string;
        code: string;
        reason: string;
      }[];
    };
    Ranking: {
      symbol: string;
      mode: "monitor" | "entry" | "exit";
      /** When it was ranked; null where there is no ranking, and so are the fields up to job_id */
      run_at: string | null;
      /** When the chain was quoted */
      as_of: string | null;
      /** Of the chain */
      source: string | null;
      /** true for made-up quotes */
      simulated: boolean;
      /** Price of the underlying, dollars a share */
      spot: number | null;
      /** Contracts of the chain, in exit mode positions; null for a caller who may see only the positions of one user */
      total: number | null;
      /** Of these: could be ranked; null for a caller who may see only the positions of one user */
      eligible: number | null;
      /** How many were not ranked, by reason; null for a caller who may see only the positions of one user */
      reasons: {
        expired: number;
        no_bid: number;
        no_price: number;
        crossed: number;
        illiquid: number;
        stale_quote: number;
        no_iv: number;
        not_quoted: number;
        not_measured: number;
      } | null;
      /** Exit mode: each position that is not ranked, and why */
      left_out: {
        position: string;
        contract: string;
        reason: "expired" | "no_bid" | "no_price" | "crossed" | "illiquid" | "stale_quote" | "no_iv" | "not_quoted" | "not_measured";
        why: string;
        user: string | null;
      }[] | null;
      /** What the chain lacks although it should have it */
      gaps: {
        expiry?: string;
        contracts?: number;
        reason: string;
      }[] | null;
      /** Volatility of the underlying, at the money in 30 days, annual, 0.25 is 25 % */
      atm_iv: number | null;
      /** Of the underlying, 0-100; null under 20 days of history */
      iv_rank: number | null;
      /** Of the underlying, 0-100; null under 20 days of history */
      iv_percentile: number | null;
      trend: ("bullish" | "bearish" | "neutral") | null;
      job_id: string | null;
      /** Ranks of the run that the filters leave */
      totalRanks: number;
      ranks: {
        /** In its run, from 1; in exit mode a key of a user sees the place among the positions of that user */
        place: number;
        ranking_mode: "monitor" | "entry" | "exit";
        run_at: string;
        /** OCC symbol */
        contract: string;
        underlying: string;
        side: "call" | "put";
        /** YYYY-MM-DD */
        expiration: string;
        /** Dollars a share */
        strike: number;
        /** Calendar days to the expiration */
        dte: number;
        /** Price of the underlying, dollars a share */
        spot: number | null;
        /** Dollars a share */
        bid: number;
        /** Dollars a share */
        ask: number;
        /** (bid + ask) ÷ 2, dollars a share */
        mid: number;
        /** Contracts traded on the day */
        volume: number | null;
        /** Contracts */
        open_interest: number | null;
        quoted_at: string;
        /** Implied volatility, annual, 0.25 is 25 % */
        iv: number;
        /** own: from its own quote; partner: from the out-of-the-money contract of its strike and expiration; smile: from the fitted smile of its expiration */
        iv_source: "own" | "partner" | "smile";
        /** Dollars for a dollar of the underlying, negative for puts */
        delta: number | null;
        /** Change of delta for a dollar of the underlying */
        gamma: number | null;
        /** Dollars a share and calendar day, negative when time costs */
        theta: number | null;
        /** Dollars a share for a volatility point (0.01) */
        vega: number | null;
        /** Dollars a share for a percentage point (0.01) of the interest rate */
        rho: number | null;
        /** What is doubtful about the quote. bid_below_intrinsic: the bid is below the value of exercising the contract now */
        marks: "bid_below_intrinsic"[];
        /** Exit mode: id of the position */
        position: string | null;
        /** Exit mode: whose position */
        user_id: string | null;
        /** Exit mode: dollars a share */
        entry_price: number | null;
        /** Exit mode: loss at which the position is stopped, % */
        stop_pct: number | null;
        /** 0-100, what is worth watching: in every mode */
        composite_rank: number | null;
        /** 0-100, in entry mode */
        entry_rank: number | null;
        /** 0-100, in exit mode */
        exit_rank: number | null;
        /** Of the mode's own rank */
        band: "strong" | "good" | "fair" | "weak";
        signals: ("discount" | "runner" | "greeks" | "take_profit" | "stop_loss" | "buy" | "close")[];
        /** Spread, % of the mid price */
        spread_pct: number | null;
        /** 0-100 */
        spread_score: number | null;
        /** Of the underlying: today's 30-day at-the-money volatility between the lowest and the highest of 252 days, 0-100 */
        iv_rank: number | null;
        /** Of the underlying: share of 252 days whose volatility was lower, 0-100 */
        iv_percentile: number | null;
        /** 0-100; 100: 20 % cheaper in volatility than its own mean, or than the smile of its expiration; drawn to 50 by little liquidity */
        iv_discount_score: number | null;
        /** Change of the mid price over 5 trading days, % */
        price_change_pct: number | null;
        /** 0-100 */
        price_momentum_score: number | null;
        /** 0-100; the change over 3 days against its share of that over 5 */
        momentum_decay_score: number | null;
        /** 0-100; 50 at the mean volume of 20 days */
        volume_surge_score: number | null;
        /** Volume ÷ open interest */
        volume_oi_ratio: number | null;
        /** 0-100 */
        volume_oi_score: number | null;
        /** 0-100; 50 at an open interest as 5 trading days ago */
        oi_growth_score: number | null;
        /** 0.1-1, how far volume, open interest and price are to be trusted; draws momentum_score and iv_discount_score to 50 */
        liquidity_confidence: number | null;
        /** 0-100 */
        delta_score: number | null;
        /** Change of delta when the underlying moves by 1 % */
        gamma_1pct: number | null;
        /** 0-100 */
        gamma_score: number | null;
        /** 0-100 */
        vega_score: number | null;
        /** |theta|, % of the mid price a calendar day */
        theta_pct: number | null;
        /** Points that theta takes off greeks_score */
        theta_penalty: number | null;
        /** Profit of the position, % of its entry price */
        pnl_pct: number | null;
        /** 0-100 */
        pnl_score: number | null;
        /** 0-100; 100: volatility 20 % higher than at the entry */
        iv_expansion_score: number | null;
        /** 0-100, share of the way from the entry spot to the target */
        target_score: number | null;
        /** 0-100, share of the way to the stop */
        loss_protection: number | null;
        /** 0-100, urgency by days to expiration */
        dte_score: number | null;
        /** 0-100, urgency by theta */
        theta_score: number | null;
        /** Part, 0-100 */
        momentum_score: number | null;
        /** Part, 0-100 */
        value_score: number | null;
        /** Part, 0-100 */
        greeks_score: number | null;
        /** Part, 0-100 */
        entry_value_score: number | null;
        /** Part, 0-100 */
        catalyst_score: number | null;
        /** 0-100; protection_score is the larger of this and loss_protection */
        profit_protection_score: number | null;
        /** Part, 0-100 */
        protection_score: number | null;
        /** Part, 0-100 */
        deterioration_score: number | null;
        /** Part, 0-100 */
        time_urgency_score: number | null;
        /** What of the mode's own rank was not measured: left out, never taken as 0 */
        missing: string[];
        /** The weights really used, by rank or part: Σ weight × part = rank */
        weights: {
          [name: string]: {
            [name: string]: number;
          };
        };
        /** 0-1: share of the full weight that was measured */
        data_quality: number;
        why?: {
          column: string;
          name: string;
          /** The sum of all points */
          rank: number;
          band: "strong" | "good" | "fair" | "weak";
          parts: {
            column: string;
            name: string;
            /** 0-100; 100 minus the column where inverted */
            score: number;
            inverted: boolean;
            /** The one really used */
            weight: number;
            /** score × weight */
            points: number;
            text: string;
            components: {
              column: string;
              name: string;
              /** 0-100; 100 minus the column where inverted */
              score: number;
              inverted: boolean;
              /** The one really used */
              weight: number;
              /** score × weight */
              points: number;
              text: string;
            }[];
            /** How the sum became the part's score, where it is not the score itself */
            step: string | null;
          }[];
          missing: string[];
          data_quality: number;
          /** What would change the rank, by the rules of now */
          changes: {
            /** Not measured, with its share of the whole rank, 0-1: all of them and data_quality add up to 1 */
            missing: {
              column: string;
              name: string;
              weight: number;
            }[];
            /** The measured part with the largest weight × (100 - score), which is `gain`; null where each has 100 */
            largest: {
              column: string;
              name: string;
              score: number;
              gain: number;
            } | null;
            /** The band above and the points to it; null in the highest */
            next_band: {
              band: "strong" | "good" | "fair" | "weak";
              from: number;
              lacks: number;
            } | null;
          };
        };
      }[];
      /** `cursor` of the next page; null on the last one */
      next: string | null;
      /** As they were understood */
      filters: {
        side?: "call" | "put";
        expiry?: string;
        signal?: "discount" | "runner" | "greeks" | "take_profit" | "stop_loss" | "buy" | "close";
        minRank?: number;
        contract?: string;
        user?: string;
        sort?: string;
        limit: number;
      };
      /** Where there is no ranking: whether one is being made (pending), could not be made (failed), or was never asked for */
      state: {
        state: "pending" | "failed" | "never" | "done";
        /** The newest one for it: scheduled, blocked, ready, running, or how it ended and why */
        job: components['schemas']['JobSummary'] | null;
        /** For people */
        text: string;
      } | null;
    };
    Alert: {
      name: string;
      state: "raised" | "cleared";
      value: number;
      threshold: number;
      since: string;
      text: string;
      /** null: another program has raised it */
      advice: {
        means: string;
        /** What to do */
        todo: string;
        /** Shows more, or is the cure */
        command: string;
      } | null;
    };
    AutoFetch: {
      enabled: boolean;
      changed_by: string | null;
      changed_at: string | null;
    };
    OptionPosition: {
      id: string;
      /** OCC symbol */
      contract: string;
      /** Contracts */
      quantity: number;
      /** Dollars a share */
      entry_price: number;
      /** Annual implied volatility at the entry, 0.25 is 25 % */
      entry_iv: number | null;
      /** Price of the underlying at the entry, dollars a share */
      entry_spot: number | null;
      /** Target price of the underlying; its progress counts from entry_spot */
      target: number | null;
      /** Loss at which the position is stopped, as a share of the entry price; ranking.rules.stop_loss if not given */
      stop: number | null;
      opened_at: string;
      /** Between bid and ask, dollars a share, in the newest ranking that has the contract; null: none has */
      mid: number | null;
      quoted_at: string | null;
      /** true for made-up quotes */
      simulated: boolean;
      /** Dollars: mid × contracts × 100 shares */
      value: number | null;
      /** The same less what was paid */
      profit: number | null;
      profit_pct: number | null;
    };
    Position: {
      symbol: string;
      /** Shares; 0 for a symbol that is only watched, negative for a short position */
      quantity: number;
      /** A share, in the instrument's currency */
      cost: number | null;
      source: string | null;
      /** true for made-up prices */
      simulated: boolean;
      /** Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal */
      unrestated_split: string | null;
      newest_bar: string | null;
      as_of: string | null;
      price: components['schemas']['Freshness'];
      analysis: components['schemas']['Freshness'];
      close: number | null;
      currency: string | null;
      /** Quantity × close */
      value: number | null;
      /** On the session before the newest bar; after a split in the shares of today */
      previous_close: number | null;
      /** Of the value, since the previous close */
      day_change: number | null;
      /** %; of a watched symbol the change of its price */
      day_change_pct: number | null;
      /** % of all holdings of the same currency */
      weight_pct: number | null;
      /** Value less what was paid; null while the cost or the price is unknown */
      profit: number | null;
      profit_pct: number | null;
      /** The same in portfolio.base_currency; null while price, currency or rate are unknown */
      base_value: number | null;
      signal: ("buy" | "sell" | "hold") | null;
      confidence: number | null;
    };
    CurrencyTotal: {
      /** null: the currency of these prices is not known */
      currency: string | null;
      holdings: number;
      value: number;
      /** The part from made-up prices */
      simulated: number;
      /** Of the holdings whose previous close is known */
      day_change: number | null;
      day_change_pct: number | null;
      /** Paid for the holdings whose cost is known */
      cost: number | null;
      /** Of the same */
      profit: number | null;
      profit_pct: number | null;
    };
    Readiness: {
      status: "ok" | "unavailable";
      /** Whether it takes writes */
      database: boolean;
      broker: boolean;
      /** Whether the broker has granted all of them and delivers */
      subscriptions: boolean;
      /** Subscriptions that are not granted, or do not deliver what the gateway itself has published */
      missing: string[];
      /** Seconds by which this machine's clock is ahead of the database's; no fault, since the work goes by the database's */
      clock_offset_s: number | null;
    };
  };
}

export interface operations {
  isAlive: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': { status: "ok" } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  isReady: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': components['schemas']['Readiness'] } };
      503: { content: { 'application/json': components['schemas']['Readiness'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readMetrics: {
    parameters: {};
    responses: {
      200: { content: { 'text/plain': string } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  signIn: {
    parameters: {};
    requestBody: { content: { 'application/json': { v?: 1; userId: string; at?: string; sessionId?: string; traceparent?: string } } };
    responses: {
      202: {
        content: {
          'application/json': {
            userId: string;
            at: string;
            /** Symbols held and watched */
            total?: number;
            /** Of these: symbols with queued jobs */
            queued?: number;
            /** Of these: fresh already */
            fresh?: number;
            /** Of these: the sources were asked lately and have nothing newer */
            outdated?: number;
            /** Of these: the sources were asked lately and have nothing at all */
            missing?: number;
            /** Of these: the answer of the sources was a failure, and they are not asked again yet */
            unknown?: number;
            /** A symbol each, with the jobs that it caused or joined, or why it caused none */
            decisions?: {
              symbol: string;
            }[];
            /** true when there are more decisions than fit into a megabyte: the first ones are here */
            truncated?: boolean;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listJobTypes: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': { types: components['schemas']['JobType'][] } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  find: {
    parameters: {
      query: { q: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            symbols: string[];
            users: string[];
            jobs: {
              id: string;
              type: string;
              symbol: string | null;
              state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listJobs: {
    parameters: {
      query?: {
        /** One state, or several separated by commas: scheduled, blocked, ready, running, completed, completed_with_errors, failed, cancelled, expired */
        state?: string;
        queue?: "foreground" | "background_fetch" | "background_analysis";
        type?: "fetch" | "batch_fetch" | "backfill" | "analysis" | "rank" | "research" | "llm_analysis" | "picks" | "picks_universe" | "history";
        symbol?: string;
        /** Only jobs that this user waits for */
        user?: string;
        /** The instance that runs it, or ran it last */
        worker?: string;
        /** Why it ended other than completed, for programs */
        code?: string;
        /** A part of the reason, in any case */
        reason?: string;
        /** Seconds since it was asked for, at least */
        min_age?: number;
        /** Seconds since it was asked for, at most */
        max_age?: number;
        /** urgent: in the order in which they are claimed, of live jobs; ended: the last ended first, of ended ones */
        sort?: "newest" | "oldest" | "urgent" | "ended";
        limit?: number;
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
        /** `next` of the page before */
        cursor?: string;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            jobs: components['schemas']['JobSummary'][];
            /** `cursor` of the next page; null on the last one */
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  requestJobs: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': components['schemas']['JobRequestInput'] | {
          jobs: components['schemas']['JobRequestInput'][];
        };
      };
    };
    responses: {
      202: {
        content: {
          'application/json': {
            jobs: components['schemas']['AcceptedJob'][];
            refused: components['schemas']['RefusedJob'][];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  countJobs: {
    parameters: {
      query?: {
        /** One state, or several separated by commas: scheduled, blocked, ready, running, completed, completed_with_errors, failed, cancelled, expired */
        state?: string;
        queue?: "foreground" | "background_fetch" | "background_analysis";
        type?: "fetch" | "batch_fetch" | "backfill" | "analysis" | "rank" | "research" | "llm_analysis" | "picks" | "picks_universe" | "history";
        symbol?: string;
        /** Only jobs that this user waits for */
        user?: string;
        /** The instance that runs it, or ran it last */
        worker?: string;
        /** Why it ended other than completed, for programs */
        code?: string;
        /** A part of the reason, in any case */
        reason?: string;
        /** Seconds since it was asked for, at least */
        min_age?: number;
        /** Seconds since it was asked for, at most */
        max_age?: number;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            counts: {
              [name: string]: number;
            };
            /** States of which there may be more than was looked at */
            at_least: ("scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired")[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  groupJobsByCode: {
    parameters: operations['countJobs']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            groups: {
              code: string;
              jobs: number;
              first_ended_at: string;
              last_ended_at: string;
              newest_id: string;
              /** Of the newest */
              reason: string | null;
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  changeJobs: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': {
          action: "cancel" | "retry" | "redrive";
          ids?: string[];
          /** In place of `ids` */
          filter?: {
            queue?: "foreground" | "background_fetch" | "background_analysis";
            type?: "fetch" | "batch_fetch" | "backfill" | "analysis" | "rank" | "research" | "llm_analysis" | "picks" | "picks_universe" | "history";
            symbol?: string;
            /** Only jobs that this user waits for */
            user?: string;
            /** The instance that runs it, or ran it last */
            worker?: string;
            /** Why it ended other than completed, for programs */
            code?: string;
            /** A part of the reason, in any case */
            reason?: string;
            min_age?: number;
            max_age?: number;
            state?: ("scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired")[];
          };
          /** `next` of the call before, with the same filter */
          cursor?: string;
          dry_run?: boolean;
        };
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['BulkAnswer'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readJob: {
    parameters: {
      path: { id: string };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['JobDetail'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readJobStatus: {
    parameters: operations['readJob']['parameters'];
    responses: {
      200: { content: { 'application/json': components['schemas']['JobStatus'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listJobItems: {
    parameters: {
      query?: {
        state?: "pending" | "done" | "skipped" | "no_data" | "failed" | "not_entitled" | "not_yet";
        limit?: number;
        /** `next` of the page before */
        cursor?: string;
      };
      path: { id: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            items: {
              key: string;
              state: "pending" | "done" | "skipped" | "no_data" | "failed" | "not_entitled" | "not_yet";
              attempts: number;
              rows: number | null;
              bytes: number | null;
              reason: string | null;
            }[];
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listJobCallbacks: {
    parameters: operations['readJob']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            callbacks: {
              url: string;
              state: "pending" | "delivered" | "failed";
              attempts: number;
              /** pending: not before; else when it ended */
              due_at: string;
              last_status: number | null;
              last_error: string | null;
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  cancelJob: {
    parameters: operations['readJob']['parameters'];
    requestBody: { content: { 'application/json': Record<string, never> | null } };
    responses: {
      200: {
        content: {
          'application/json': {
            /** The job itself first, then those that changed because of it */
            changes: components['schemas']['JobChange'][];
            /** left: others want the job too, so it goes on for them; the user of the key does not wait for it any more */
            outcome: "cancelled" | "left";
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  retryJob: {
    parameters: operations['readJob']['parameters'];
    requestBody: { content: { 'application/json': Record<string, never> | null } };
    responses: {
      200: {
        content: {
          'application/json': {
            /** The job itself first, then those that changed because of it */
            changes: components['schemas']['JobChange'][];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  redriveJobs: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': {
          state?: "failed" | "expired" | "cancelled" | "completed_with_errors";
          type?: "fetch" | "batch_fetch" | "backfill" | "analysis" | "rank" | "research" | "llm_analysis" | "picks" | "picks_universe" | "history";
          symbol?: string;
        };
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            redriven: string[];
            /** Left as they are: another live job does the same work */
            superseded: string[];
            more: boolean;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  streamJob: {
    parameters: {
      query?: {
        /** Of POST /v1/events/token, in place of a key: for an EventSource, which sends no header */
        token?: string;
      };
      path: { id: string };
    };
    responses: {
      200: { content: { 'text/event-stream': string } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readSymbol: {
    parameters: {
      path: { symbol: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            symbol: string;
            currency: string | null;
            time_zone: string | null;
            source: string | null;
            /** true for made-up prices */
            simulated: boolean;
            /** The moment the newest bar was true */
            as_of: string | null;
            /** The last time that a source answered */
            checked_at: string | null;
            /** Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal */
            unrestated_split: string | null;
            price: components['schemas']['Freshness'];
            /** The newest one */
            bar: components['schemas']['Bar'] | null;
            /** On the session before the newest bar; after a split in the shares of today */
            previous_close: number | null;
            /** Figures or headlines are stored: /research has them */
            has_research: boolean;
            analysis: components['schemas']['Analysis'];
            actions: components['schemas']['CorporateActions'];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listBars: {
    parameters: {
      query?: {
        /** First day; without it the newest bars */
        from?: string;
        to?: string;
        /** The newest so many of the range */
        limit?: number;
        adjusted?: string;
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
      };
      path: { symbol: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            symbol: string;
            currency: string | null;
            time_zone: string | null;
            source: string | null;
            /** true for made-up prices */
            simulated: boolean;
            /** The moment the newest bar was true */
            as_of: string | null;
            /** The last time that a source answered */
            checked_at: string | null;
            /** Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal */
            unrestated_split: string | null;
            price: components['schemas']['Freshness'];
            adjusted: boolean;
            bars: components['schemas']['Bar'][];
            actions: components['schemas']['CorporateActions'];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listIndicators: {
    parameters: operations['listBars']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            symbol: string;
            currency: string | null;
            time_zone: string | null;
            source: string | null;
            /** true for made-up prices */
            simulated: boolean;
            /** The moment the newest bar was true */
            as_of: string | null;
            /** The last time that a source answered */
            checked_at: string | null;
            /** Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal */
            unrestated_split: string | null;
            price: components['schemas']['Freshness'];
            adjusted: boolean;
            dates: string[];
            indicators: {
              [name: string]: (number | null)[];
            };
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readAnalysis: {
    parameters: operations['readSymbol']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            symbol: string;
            currency: string | null;
            time_zone: string | null;
            source: string | null;
            /** true for made-up prices */
            simulated: boolean;
            /** The moment the newest bar was true */
            as_of: string | null;
            /** The last time that a source answered */
            checked_at: string | null;
            /** Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal */
            unrestated_split: string | null;
            price: components['schemas']['Freshness'];
            analysis: components['schemas']['Analysis'];
            /** A language model's opinion; null where there is none, see model_analysis_state */
            model_analysis: {
              /** Not investment advice */
              disclaimer: string;
              source: "llm";
              /** As its server names it */
              model: string;
              /** Host of the model's server */
              provider: string;
              created_at: string;
              stale: boolean;
              /** Of the newest price among the facts */
              data_date: string | null;
              /** true when the facts are made up */
              simulated: boolean;
              sentiment: number;
              recommendation: "strong_buy" | "buy" | "hold" | "sell" | "strong_sell";
              hold_forced: boolean;
              confidence: number;
              summary: {
                text: string;
                facts: string[];
              } | null;
              drivers: {
                direction: "up" | "down";
                text: string;
                facts: string[];
              }[];
              risks: {
                text: string;
                facts: string[];
              }[];
              unknowns: string[];
              dropped: {
                where: string;
                text: string;
                violation: string;
              }[];
              /** The confidence is the model's own, not calibrated */
              confidence_note: string;
              /** The first answer was not accepted */
              repaired: boolean;
              /** What there was no fact of */
              missing: string[];
              /** All that the model was given; each figure in the sentences is the `shown` of one of them */
              facts: {
                id: string;
                symbol: string | null;
                kind: "price" | "indicator" | "fundamental" | "headline" | "event" | "score";
                label: string;
                value: number | string | null;
                unit: "usd" | "money" | "pct" | "ratio" | "count" | "date" | "text";
                as_of: string;
                source: string;
                shown: string;
                trust: "measured" | "third_party";
              }[];
            } | null;
            /** When it was made, or why there is none or no newer one */
            model_analysis_state: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listSignals: {
    parameters: {
      query?: {
        /** Only days before this one: the last `date` of the page before */
        before?: string;
        limit?: number;
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
      };
      path: { symbol: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            symbol: string;
            signals: components['schemas']['PastSignal'][];
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readResearch: {
    parameters: {
      query?: {
        /** At most so many headlines */
        headlines?: number;
      };
      path: { symbol: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            symbol: string;
            disclaimer: string;
            fundamentals: {
              source: "yahoo_finance" | "alpha_vantage" | "simulated";
              /** true for made-up figures */
              simulated: boolean;
              fetched_at: string;
              /** A request for research would fetch them again */
              stale: boolean;
              name: string | null;
              /** EQUITY, ETF, … */
              quote_type: string | null;
              sector_key: string | null;
              sector: string | null;
              industry_key: string | null;
              industry: string | null;
              currency: string | null;
              financial_currency: string | null;
              /** Only those that the source has. The mean of under three analysts is left out */
              values: {
                name: "marketCap" | "trailingPe" | "trailingEps" | "bookValue" | "priceToBook" | "dividendYield" | "returnOnEquity" | "operatingMargins" | "debtToEquity" | "freeCashflow" | "recommendationMean" | "analysts";
                label: string;
                value: number;
                /** fraction: 0.12 is 12 % */
                unit: "money" | "ratio" | "fraction" | "count";
                /** Of money: that of the price, or of the statements; null where the source names none */
                currency: string | null;
                /** For people */
                shown: string;
                /** Day on which it was fetched, UTC */
                as_of: string;
              }[];
              /** The next report: its day, or the first and last day on which it is expected */
              earnings: {
                from: string;
                to: string;
                is_estimate: boolean;
              } | null;
            } | null;
            news: {
              source: ("yahoo_finance" | "alpha_vantage" | "simulated") | null;
              simulated: boolean;
              /** When headlines were asked for last */
              checked_at: string | null;
              stale: boolean;
              /** The newest first; no text of articles */
              headlines: {
                /** SHA-256 of the link */
                id: string;
                title: string;
                publisher: string;
                published_at: string;
                link: string;
                source: "yahoo_finance" | "alpha_vantage" | "simulated";
              }[];
            };
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readChain: {
    parameters: {
      query?: {
        expiry?: string;
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
      };
      path: { symbol: string };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['Chain'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readVolatility: {
    parameters: {
      query?: {
        /** The smile of this expiration alone; all if not given */
        expiry?: string;
      };
      path: { symbol: string };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['Volatility'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listRankedSymbols: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': { symbols: components['schemas']['RankedSymbol'][] } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listUsers: {
    parameters: {
      query?: {
        limit?: number;
        /** `next` of the page before */
        cursor?: string;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            users: components['schemas']['User'][];
            /** `cursor` of the next page; null on the last one */
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listLogins: {
    parameters: {
      query?: { limit?: number };
      path: { id: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            logins: {
              at: string;
              /** Symbols held and watched */
              total: number;
              queued: number;
              fresh: number;
              /** When the last of its jobs had completed; null: it had none, one failed, or they are not done */
              fresh_at: string | null;
              seconds_to_fresh: number | null;
              admitted_at: string;
              open_jobs: number;
              failed_jobs: number;
              decisions: components['schemas']['LoginDecision'][];
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  importPortfolio: {
    parameters: {
      query?: { dry_run?: string; skip_wrong?: string };
      header?: {
        /** `etag` of the version that the change was made from: when it is not the present one, the answer is 412 */
        "if-match"?: string;
      };
      path: { id: string };
    };
    requestBody: {
      content: {
        'application/json': {
          /** The text of the file */
          csv: string;
          /** Of the file, for messages */
          name?: string;
        };
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['PortfolioImport'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readPortfolio: {
    parameters: {
      query?: {
        limit?: number;
        /** `next` of the page before */
        cursor?: string;
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
      };
      path: { id: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            at: string;
            positions: components['schemas']['Position'][];
            /** `cursor` of the next page; null on the last one. A page is shorter than `limit` where its texts are long */
            next: string | null;
            /** true for a portfolio of more than 1,000 positions, from before that limit: the first ones count alone */
            truncated: boolean;
            /** By the currency of the prices, the largest first: they are not added up */
            totals: components['schemas']['CurrencyTotal'][];
            /** All holdings in the base currency, with the rates used */
            worth: {
              currency: string;
              value: number;
              /** The part from made-up prices or rates */
              simulated: number;
              rates: {
                symbol: string;
                rate: number | null;
                newest_bar: string | null;
                /** outdated: the sources were asked lately and have nothing newer */
                state: "fresh" | "outdated" | "stale" | "missing";
                reason: string;
                simulated: boolean;
              }[];
              /** Held, and not in the sum */
              unknown: {
                symbol: string;
                reason: string;
              }[];
            };
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  replacePortfolio: {
    parameters: {
      header?: {
        /** `etag` of the version that the change was made from: when it is not the present one, the answer is 412 */
        "if-match"?: string;
      };
      path: { id: string };
    };
    requestBody: {
      content: {
        'application/json': {
          positions: {
            symbol: string;
            /** 0, or left out: only watched */
            quantity?: number;
            cost?: number | null;
          }[];
        };
      };
    };
    responses: {
      200: { content: { 'application/json': { user: string; held: number; watched: number } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readPortfolioFreshness: {
    parameters: {
      query?: {
        limit?: number;
        /** `next` of the page before */
        cursor?: string;
      };
      path: { id: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            at: string;
            /** `cursor` of the next page; null on the last one. A page is shorter than `limit` where its texts are long */
            next: string | null;
            /** true for a portfolio of more than 1,000 positions, from before that limit: the first ones count alone */
            truncated: boolean;
            /** By the state of the price */
            counts: {
              fresh: number;
              outdated: number;
              stale: number;
              missing: number;
              total: number;
              /** Of all: with a made-up price */
              simulated: number;
            };
            holdings: {
              symbol: string;
              source: string | null;
              /** true for made-up prices */
              simulated: boolean;
              /** Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal */
              unrestated_split: string | null;
              newest_bar: string | null;
              as_of: string | null;
              price: components['schemas']['Freshness'];
              analysis: components['schemas']['Freshness'];
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  requestRankings: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': {
          /** This or `symbols` */
          symbol?: string;
          symbols?: string[];
          /** monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close */
          mode?: "monitor" | "entry" | "exit";
          /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
          priority?: number;
          /** The user who waits for it: it counts against the slots of this user, who is notified */
          user?: string;
          /** Called with a signed POST when the job has ended */
          callback_url?: string;
        };
      };
    };
    responses: {
      200: {
        content: {
          'application/json': components['schemas']['SubmittedRanking'] | components['schemas']['SubmittedRankings'];
        };
      };
      202: {
        content: {
          'application/json': components['schemas']['SubmittedRanking'] | components['schemas']['SubmittedRankings'];
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readRanking: {
    parameters: {
      query: {
        symbol: string;
        /** monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close */
        mode?: "monitor" | "entry" | "exit";
        side?: "call" | "put";
        /** Expiration, YYYY-MM-DD */
        expiry?: string;
        /** Only contracts with this signal */
        signal?: "discount" | "runner" | "greeks" | "take_profit" | "stop_loss" | "buy" | "close";
        /** Best first, what is missing last; without it the run's own order. entry_rank and exit_rank only in their modes */
        sort?: "composite_rank" | "entry_rank" | "exit_rank" | "momentum_score" | "value_score" | "greeks_score" | "entry_value_score" | "catalyst_score" | "profit_protection_score" | "protection_score" | "deterioration_score" | "time_urgency_score" | "spread_score" | "iv_rank" | "iv_percentile" | "iv_discount_score" | "data_quality" | "volume" | "open_interest" | "iv" | "mid" | "dte" | "expiration" | "strike" | "contract";
        limit?: number;
        /** Least rank of the mode's own, 0-100 */
        min_rank?: string;
        /** Only this one: an OCC symbol such as AAPL140621C00500000 */
        contract?: string;
        /** Exit mode: only the positions of this user */
        user?: string;
        /** `next` of the page before; goes on in the same run, also when a newer one was published */
        cursor?: string;
        /** Also how each rank came about: score × weight = points, adding up to the rank */
        why?: string;
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['Ranking'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listPositions: {
    parameters: {
      query?: {
        /** csv: the rows as text/csv; the same as `accept: text/csv` */
        format?: "json" | "csv";
      };
      path: { id: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            /** In the order in which they were given */
            positions: components['schemas']['OptionPosition'][];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  replacePositions: {
    parameters: operations['replacePortfolio']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          positions: {
            contract: string;
            /** Contracts */
            quantity: number;
            /** Dollars a share */
            entry_price: number;
            /** Annual implied volatility at the entry, 0.25 is 25 % */
            entry_iv?: number;
            /** Price of the underlying at the entry, dollars a share */
            entry_spot?: number;
            /** Target price of the underlying; its progress counts from entry_spot */
            target?: number;
            /** Loss at which the position is stopped, as a share of the entry price; ranking.rules.stop_loss if not given */
            stop?: number;
            /** Now if not given */
            opened_at?: string;
          }[];
        };
      };
    };
    responses: operations['listPositions']['responses'];
  };
  removePosition: {
    parameters: {
      path: { id: string; position: string };
    };
    responses: {
      200: { content: { 'application/json': { user: string; removed: string } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  triggerRankingJob: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': {
          symbol: string;
          /** monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close */
          mode?: "monitor" | "entry" | "exit";
          /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
          priority?: number;
        };
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['SubmittedRanking'] } };
      202: { content: { 'application/json': components['schemas']['SubmittedRanking'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readOptionsRankings: {
    parameters: {
      query: {
        symbol: string;
        /** monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close */
        mode?: "monitor" | "entry" | "exit";
        side?: "call" | "put";
        /** Expiration, YYYY-MM-DD */
        expiry?: string;
        /** Only contracts with this signal */
        signal?: "discount" | "runner" | "greeks" | "take_profit" | "stop_loss" | "buy" | "close";
        /** Best first, what is missing last; without it the run's own order. entry_rank and exit_rank only in their modes */
        sort?: "composite_rank" | "entry_rank" | "exit_rank" | "momentum_score" | "value_score" | "greeks_score" | "entry_value_score" | "catalyst_score" | "profit_protection_score" | "protection_score" | "deterioration_score" | "time_urgency_score" | "spread_score" | "iv_rank" | "iv_percentile" | "iv_discount_score" | "data_quality" | "volume" | "open_interest" | "iv" | "mid" | "dte" | "expiration" | "strike" | "contract";
        limit?: number;
      };
    };
    responses: operations['readRanking']['responses'];
  };
  listPicksUsers: {
    parameters: operations['listUsers']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            /** Its Monday */
            this_week: string;
            users: {
              user: string;
              /** null: none was made yet */
              newest: components['schemas']['PicksReport'] | null;
            }[];
            /** `cursor` of the next page; null on the last one */
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readPicks: {
    parameters: {
      query?: {
        /** A Monday */
        week?: string;
      };
      path: { id: string };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            data: {
              schema: 1;
              user_id: string;
              week_of: string;
              version: number;
              source: "llm" | "quant" | "sample";
              simulated: boolean;
              data_date: string;
              generated_at: string;
              universe: {
                size: number;
                eligible: number;
                small: boolean;
                hash: string;
                excluded: {
                  [name: string]: number;
                };
                fundamentals_oldest: string | null;
                fundamentals_newest: string | null;
              };
              profile: {
                risk_tolerance: string;
                timeline: string;
                experience: string;
                goals: string[];
                /** Dollars: one share of a pick costs no more, unless `fractional` */
                monthly_budget: number;
                fractional: boolean;
                /** Sectors */
                interests: string[];
              };
              weights: {
                momentum: number;
                trend: number;
                low_volatility: number;
                low_drawdown: number;
                quality: number;
                value: number;
                income: number;
              };
              relaxed: ("correlation" | "sector_cap" | "volatility_band")[];
              shortfall: {
                reason: "too_few_candidates" | "too_few_in_interests";
                wanted: number;
                found: number;
                text: string;
              } | null;
              stock_picks: {
                rank: number;
                ticker: string;
                name: string;
                sector: string | null;
                sector_key: string | null;
                price_at: number;
                total: number;
                coverage: number;
                parts: {
                  factor: "momentum" | "trend" | "low_volatility" | "low_drawdown" | "quality" | "value" | "income";
                  score: number | null;
                  weight: number;
                  points: number;
                }[];
                missing: ("momentum" | "trend" | "low_volatility" | "low_drawdown" | "quality" | "value" | "income")[];
                risk_level: "low" | "medium" | "high";
                sigma: number;
                drawdown: number;
                reasons: {
                  text: string;
                  facts: string[];
                }[];
                rationale: {
                  text: string;
                  facts: string[];
                }[] | null;
                held_pct: number;
                change: "new" | "kept";
              }[];
              near_misses: {
                ticker: string;
                rank: number;
                total: number;
                reason: {
                  text: string;
                  facts: string[];
                };
                instead: string | null;
              }[];
              changes: {
                ticker: string;
                change: "kept" | "new" | "dropped";
                before: number | null;
                after: number | null;
                factor: ("momentum" | "trend" | "low_volatility" | "low_drawdown" | "quality" | "value" | "income") | null;
                moved: number | null;
                reason: {
                  text: string;
                  facts: string[];
                } | null;
              }[];
              investment_themes: {
                title: string;
                category: "sector" | "industry" | "style" | "macro";
                summary: {
                  text: string;
                  facts: string[];
                };
                paragraphs: {
                  text: string;
                  facts: string[];
                }[];
                tickers: string[];
                written_by: "program" | "model";
              }[];
              market_analysis: {
                environment: {
                  text: string;
                  facts: string[];
                }[];
                risk_factors: {
                  text: string;
                  facts: string[];
                }[];
                opportunities: {
                  text: string;
                  facts: string[];
                }[];
                written_by: "program" | "model";
              };
              facts: {
                id: string;
                symbol: string | null;
                kind: "price" | "indicator" | "fundamental" | "headline" | "event" | "score";
                label: string;
                value: number | string | null;
                unit: "usd" | "money" | "pct" | "ratio" | "count" | "date" | "text";
                as_of: string;
                source: string;
                shown: string;
                trust: "measured" | "third_party";
              }[];
              citations: {
                title: string;
                url: string;
                date: string | null;
              }[];
              dropped: {
                where: string;
                text: string;
                violation: string;
              }[];
              model: string | null;
              provider: string | null;
              cost_usd: number | null;
              cost_state: "none" | "exact" | "estimated" | "unknown";
              spend_ids: string[];
              fallback_reason: ("no_model" | "cap_reached" | "payment_unknown" | "invalid_answer" | "model_failed" | "sample") | null;
              disclosures_version: number;
            } | null;
            metadata: {
              /** Of the week that was asked for; the last good report is shown meanwhile */
              status: "ready" | "making" | "failed" | "none" | "sample";
              /** The newest job of that week */
              job: {
                id: string;
                state: "scheduled" | "blocked" | "ready" | "running" | "completed" | "completed_with_errors" | "failed" | "cancelled" | "expired";
                code: string | null;
                reason: string | null;
              } | null;
              /** Its Monday */
              this_week: string;
              /** Of the report that is shown */
              week_of: string | null;
              /** false: the report is of another week than the one asked for */
              is_current: boolean;
              version: number | null;
              generated_at: string | null;
              /** Of its newest prices */
              data_date: string | null;
              source: ("llm" | "quant" | "sample") | null;
              /** true: made-up prices or company figures */
              simulated: boolean | null;
              model: string | null;
              cost_usd: number | null;
              /** Why the words are those of the program */
              fallback_reason: ("no_model" | "cap_reached" | "payment_unknown" | "invalid_answer" | "model_failed" | "sample") | null;
              /** Must be shown with the report */
              disclosures: {
                id: string;
                text: string;
              }[];
              not_advice: string;
            };
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  makePicks: {
    parameters: operations['readJob']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          /** true: answers what it may cost at most, and asks for nothing */
          dry_run?: boolean;
          /** The price that the dry run has named; required where it is not 0 */
          price_usd?: number;
          /** true: also where nobody knows whether an earlier call was paid for. For keys with the scope jobs */
          pay_again?: boolean;
        };
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            week_of: string;
            /** At most */
            price_usd: number;
            model: string | null;
          };
        };
      };
      202: {
        content: {
          'application/json': {
            user: string;
            week_of: string;
            job_id: string;
            outcome: "queued" | "joined";
            price_usd: number;
            status_url: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listPicks: {
    parameters: {
      query?: {
        limit?: number;
        /** Only weeks before this Monday: the next page */
        before?: string;
      };
      path: { id: string };
    };
    responses: {
      200: { content: { 'application/json': { user: string; reports: components['schemas']['PicksReport'][] } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readPicksRecord: {
    parameters: operations['readJob']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            index: string;
            /** Weeks that have no record */
            without: {
              week_of: string;
              reason: "no_report" | "sample" | "simulated";
            }[];
            horizons: {
              weeks: number;
              /** Measured */
              picks: number;
              /** Reports that are measured */
              cohorts: number;
              open: number;
              missing: number;
              delisted: number;
              /** Reports whose windows do not overlap: all errors rest on them */
              effective: number;
              /** A fraction, as the others */
              mean: number | null;
              /** Over the index */
              excess: number | null;
              standard_error: number | null;
              /** Over all symbols that could be picked, at equal weights */
              excess_over_universe: number | null;
              /** Share of picks above the index */
              hit_rate: number | null;
              /** 95 %, Wilson */
              hit_interval: number[] | null;
              /** false: too few weeks to say anything */
              conclusive: boolean;
              notes: string[];
              returns: {
                week_of: string;
                index: number | null;
                universe: number | null;
                picks: {
                  symbol: string;
                  state: "open" | "final" | "carried" | "delisted" | "missing";
                  start: {
                    date: string;
                    close: number;
                  } | null;
                  end: {
                    date: string;
                    close: number;
                  } | null;
                  value: number | null;
                }[];
              }[];
            }[];
            not_advice: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readProfile: {
    parameters: operations['readJob']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            user: string;
            profile: {
              risk_tolerance: string;
              timeline: string;
              experience: string;
              goals: string[];
              /** Dollars: one share of a pick costs no more, unless `fractional` */
              monthly_budget: number;
              fractional: boolean;
              /** Sectors */
              interests: string[];
            };
            /** null: the defaults, since none is stored */
            changed_at: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  replaceProfile: {
    parameters: operations['readJob']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          risk_tolerance?: "conservative" | "moderate" | "aggressive";
          timeline?: "<1y" | "1-3" | "3-5" | "5-10" | "10+";
          experience?: "none" | "beginner" | "intermediate" | "advanced";
          goals?: ("retirement" | "house" | "big_purchase" | "extra_income" | "pay_off_debt" | "for_fun" | "inheritance" | "travel" | "not_sure")[];
          monthly_budget?: number;
          fractional?: boolean;
          interests?: string[];
        };
      };
    };
    responses: operations['readProfile']['responses'];
  };
  listSpend: {
    parameters: {
      query?: {
        purpose?: "picks" | "llm_analysis";
        user?: string;
        state?: "reserved" | "sent" | "answered" | "settled" | "released" | "unknown";
        limit?: number;
        /** `next` of the page before */
        before?: number;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            calls: {
              id: number;
              purpose: "picks" | "llm_analysis";
              user: string | null;
              /** unknown: nobody knows whether it was paid for; it counts as paid */
              state: "reserved" | "sent" | "answered" | "settled" | "released" | "unknown";
              /** US dollars */
              reserved_usd: number;
              cost_usd: number | null;
              cost_source: ("provider" | "tokens" | "reserved" | "operator") | null;
              provider: string;
              model: string;
              reserved_at: string;
              error: string | null;
            }[];
            /** Of this day and week, with their caps */
            totals: {
              purpose: "picks" | "llm_analysis";
              window: "day" | "week";
              /** US dollars */
              spent_usd: number;
              /** US dollars */
              unknown_usd: number;
              /** US dollars */
              cap_usd: number;
              calls: number;
            }[];
            next: number | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  settleSpend: {
    parameters: {
      path: { id: number };
    };
    requestBody: {
      content: {
        'application/json': {
          /** 0: it was not run */
          cost_usd: number;
        };
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            id: number;
            purpose: "picks" | "llm_analysis";
            user: string | null;
            /** unknown: nobody knows whether it was paid for; it counts as paid */
            state: "reserved" | "sent" | "answered" | "settled" | "released" | "unknown";
            /** US dollars */
            reserved_usd: number;
            cost_usd: number | null;
            cost_source: ("provider" | "tokens" | "reserved" | "operator") | null;
            provider: string;
            model: string;
            reserved_at: string;
            error: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  startWeeklyPicks: {
    parameters: {};
    responses: {
      202: { content: { 'application/json': { week_of: string; queued: number; joined: number; refused: number } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  requestOptionHistory: {
    parameters: {
      query?: {
        /** true: answers what it would do, and asks for nothing */
        dry_run?: string;
        /** sync: waits up to a minute for the end of the job */
        mode?: "async" | "sync";
      };
    };
    requestBody: {
      content: {
        'application/json': {
          /** Such as AAPL; of options their root, such as SPXW */
          root: string;
          /** quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day */
          schema: "quote" | "ohlc" | "eod";
          /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
          interval?: number | string;
          /** Only contracts with at most so many days to expiration, 1 to 365. With base_pct alone 30 */
          max_dte?: number;
          /** Only strikes with |strike − underlying| ≤ underlying × base_pct × √days. With max_dte alone 0.1 */
          base_pct?: number;
          start_date: string;
          end_date: string;
          /** Download objects that are complete again too */
          force_refresh?: boolean;
          /** The same key and body within a day is the same job, also after its end; the same key with another body is 409 */
          idempotency_key?: string;
          /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
          priority?: number;
          /** The user who waits for it: it counts against the slots of this user, who is notified */
          user?: string;
          /** Called with a signed POST when the job has ended */
          callback_url?: string;
        };
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['DownloadPreview'] | components['schemas']['JobStatus'] } };
      202: { content: { 'application/json': components['schemas']['AcceptedDownload'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  requestStockHistory: {
    parameters: operations['requestOptionHistory']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          /** Such as AAPL; of options their root, such as SPXW */
          root: string;
          /** quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day; earnings: the days on which a company reports */
          schema: "quote" | "ohlc" | "eod" | "earnings";
          /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
          interval?: number | string;
          start_date: string;
          end_date: string;
          /** Download objects that are complete again too */
          force_refresh?: boolean;
          /** The same key and body within a day is the same job, also after its end; the same key with another body is 409 */
          idempotency_key?: string;
          /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
          priority?: number;
          /** The user who waits for it: it counts against the slots of this user, who is notified */
          user?: string;
          /** Called with a signed POST when the job has ended */
          callback_url?: string;
        };
      };
    };
    responses: operations['requestOptionHistory']['responses'];
  };
  requestHistoricalOption: {
    parameters: operations['requestOptionHistory']['parameters'];
    requestBody: operations['requestOptionHistory']['requestBody'];
    responses: operations['requestOptionHistory']['responses'];
  };
  fillHistoryGaps: {
    parameters: {
      query?: {
        /** true: answers what it would do, and asks for nothing */
        dry_run?: string;
      };
    };
    requestBody: {
      content: {
        'application/json': {
          /** Such as AAPL; of options their root, such as SPXW */
          root: string;
          /** quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day */
          schema: "quote" | "ohlc" | "eod";
          /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
          interval?: number | string;
          /** Only contracts with at most so many days to expiration, 1 to 365. With base_pct alone 30 */
          max_dte?: number;
          /** Only strikes with |strike − underlying| ≤ underlying × base_pct × √days. With max_dte alone 0.1 */
          base_pct?: number;
          start_date: string;
          end_date: string;
          dataset: "option" | "stock";
          /** 1 (most urgent) to 10, in place of that of jobs.priority_rules */
          priority?: number;
          /** The user who waits for it: it counts against the slots of this user, who is notified */
          user?: string;
          /** Called with a signed POST when the job has ended */
          callback_url?: string;
        };
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['GapsPreview'] } };
      202: {
        content: {
          'application/json': {
            /** Days that are asked for */
            days: number;
            jobs: components['schemas']['AcceptedDownload'][];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readHistoryCoverage: {
    parameters: {
      query: {
        /** Such as AAPL; of options their root, such as SPXW */
        root: string;
        dataset: "option" | "stock";
        /** quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day; earnings: the days on which a company reports */
        schema: "quote" | "ohlc" | "eod" | "earnings";
        /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
        interval?: number | string;
        from: string;
        to: string;
        /** Only contracts with at most so many days to expiration, 1 to 365. With base_pct alone 30 */
        max_dte?: number;
        /** Only strikes with |strike − underlying| ≤ underlying × base_pct × √days. With max_dte alone 0.1 */
        base_pct?: number;
        /** `next` of the page before */
        cursor?: string;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            root: string;
            dataset: "option" | "stock";
            schema: string;
            interval: string;
            from: string;
            to: string;
            /** Days by state, of the whole range */
            counts: {
              complete: number;
              degraded: number;
              partial: number;
              empty: number;
              failed: number;
              not_entitled: number;
              pending: number;
              missing: number;
              closed: number;
            };
            days: {
              date: string;
              state: "complete" | "degraded" | "partial" | "empty" | "failed" | "not_entitled" | "pending" | "missing" | "closed";
              /** Of the object that has the day, or would have it */
              key: string | null;
              rows: number | null;
              reason: string | null;
            }[];
            /** A range with very long reasons comes in pages: the `cursor` of the next one, null on the last */
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listHistoryDownloads: {
    parameters: {
      query?: {
        root?: string;
        /** Only downloads that this user waits for */
        user?: string;
        limit?: number;
        /** `next` of the page before */
        cursor?: string;
      };
    };
    responses: {
      200: { content: { 'application/json': { downloads: components['schemas']['HistoryDownload'][]; next: string | null } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listHistoryObjects: {
    parameters: {
      query?: {
        root?: string;
        dataset?: "option" | "stock";
        schema?: "quote" | "ohlc" | "eod" | "earnings";
        /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
        interval?: number | string;
        /** Only objects with days from here on */
        from?: string;
        to?: string;
        limit?: number;
        /** `next` of the page before */
        cursor?: string;
      };
    };
    responses: {
      200: { content: { 'application/json': { objects: components['schemas']['HistoryObject'][]; next: string | null } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readHistoryObject: {
    parameters: {
      query?: { rows?: number };
      path: {
        /** Percent-encoded, slashes too: `encodeURIComponent(key)` */
        key: string;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            key: string;
            root: string;
            dataset: "option" | "stock";
            schema: "quote" | "ohlc" | "eod" | "earnings";
            interval: string;
            /** Of a filtered object; null for the whole chain */
            max_dte: number | null;
            base_pct: number | null;
            /** First calendar day of its period */
            from: string;
            to: string;
            rows: number;
            bytes: number;
            sha256: string;
            /** Its period was not over, or trading days of it are missing */
            is_partial: boolean;
            degraded: string | null;
            source: string;
            /** When the source was asked */
            as_of: string;
            stored_at: string;
            schema_version: number;
            /** When the source says that the data last changed */
            modified_at: string | null;
            /** Rows of each trading day that has some */
            days: {
              [name: string]: number;
            };
            /** Rows that are stored as they came and are odd */
            quality: {
              crossed: number;
              zero_bids: number;
              outside_session: number;
              odd_bids: number;
            };
            requests: {
              url: string;
              status: number;
              bytes: number;
            }[];
            source_version: string;
            writer: string;
            job_id: string;
            columns: {
              name: string;
              type: string;
            }[];
            first_rows: {
              [name: string]: string | number | null;
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  downloadHistoryObject: {
    parameters: {
      path: {
        /** Percent-encoded, slashes too: `encodeURIComponent(key)` */
        key: string;
      };
    };
    responses: {
      200: { content: { 'application/vnd.apache.parquet': string } };
      206: { content: { 'application/vnd.apache.parquet': string } };
      304: {};
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readHistoryChain: {
    parameters: {
      query: {
        root: string;
        at: string;
        schema?: "quote" | "ohlc" | "eod" | "earnings";
        /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
        interval?: number | string;
        /** Only contracts with at most so many days to expiration, 1 to 365. With base_pct alone 30 */
        max_dte?: number;
        /** Only strikes with |strike − underlying| ≤ underlying × base_pct × √days. With max_dte alone 0.1 */
        base_pct?: number;
        limit?: number;
        /** `next` of the page before */
        cursor?: number;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            root: string;
            at: string;
            /** The trading day */
            day: string;
            /** Of the object that the rows are from */
            key: string;
            source: string;
            /** Its close on that day; null where neither a daily bar nor an end-of-day object has it */
            underlying: number | null;
            /** Of the whole chain */
            contracts: number;
            rows: {
              [name: string]: string | number | null;
            }[];
            next: number | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  exportHistory: {
    parameters: {
      query: {
        /** Such as AAPL; of options their root, such as SPXW */
        root: string;
        dataset: "option" | "stock";
        /** quote: the bid and ask at each interval; ohlc: bars; eod: the end of each day; earnings: the days on which a company reports */
        schema: "quote" | "ohlc" | "eod" | "earnings";
        /** 1m, 5m, 10m, 15m, 30m, 1h, or in milliseconds 60000, 300000, 600000, 900000, 1800000, 3600000; of eod and earnings 1d. Without it 15m, of eod and earnings 1d */
        interval?: number | string;
        from: string;
        to: string;
        /** Only contracts with at most so many days to expiration, 1 to 365. With base_pct alone 30 */
        max_dte?: number;
        /** Only strikes with |strike − underlying| ≤ underlying × base_pct × √days. With max_dte alone 0.1 */
        base_pct?: number;
        allow_gaps?: string;
      };
    };
    responses: {
      200: { content: { 'text/csv': string } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readStatistics: {
    parameters: {};
    responses: {
      200: {
        content: {
          'application/json': {
            at: string;
            queues: {
              queue: "foreground" | "background_fetch" | "background_analysis";
              ready: number;
              running: number;
              scheduled: number;
              blocked: number;
              /** Seconds that the oldest ready job has waited */
              oldest_s: number | null;
            }[];
            /** Waiting jobs by priority */
            depth: {
              [name: string]: number;
            };
            /** Live jobs, and those that ended within the last minute */
            states: {
              [name: string]: number;
            };
            enqueued_last_minute: number;
            completed_last_minute: number;
            failed_last_minute: number;
            /** Jobs in the dead letter */
            failed: number;
            workers: {
              online: number;
              slots: number;
              busy: number;
              utilisation: number;
            };
            latencies: {
              source: string;
              p95_s: number;
              answers: number;
            }[];
            login_to_jobs_p95_s: number | null;
            /** Held and watched symbols by the state of their price */
            freshness: {
              fresh: number;
              outdated: number;
              stale: number;
              missing: number;
              /** Of all: with a made-up price */
              simulated: number;
            };
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listWorkers: {
    parameters: {};
    responses: {
      200: {
        content: {
          'application/json': {
            instances: {
              instance: string;
              service: string;
              capacity: number;
              running: number;
              started_at: string;
              heartbeat_at: string;
              /** Seconds by which its machine's clock is ahead of the database's */
              clock_offset_s: number | null;
              /** Of a worker: what it has that jobs may need, such as region:eu, and its other tags */
              capabilities: string[];
              /** null, as the next two: it is not heard over the broker */
              version: string | null;
              name: string | null;
              /** What it cannot do at present, in words */
              degraded: string[] | null;
              jobs: components['schemas']['JobSummary'][];
            }[];
            /** Running jobs of all; each instance names at most 500 of them together */
            running: number;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listAlerts: {
    parameters: {
      query?: { state?: "raised" | "cleared" };
    };
    responses: {
      200: { content: { 'application/json': { alerts: components['schemas']['Alert'][] } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readAutoFetch: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': components['schemas']['AutoFetch'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  switchAutoFetch: {
    parameters: {};
    requestBody: { content: { 'application/json': { enabled: boolean } } };
    responses: operations['readAutoFetch']['responses'];
  };
  readStatisticsHistory: {
    parameters: {
      query?: {
        from?: string;
        to?: string;
        /** Seconds */
        step?: "60" | "120" | "300" | "600" | "900" | "1800" | "3600" | "7200" | "14400" | "21600" | "43200" | "86400";
        /** Groups, separated by commas: depth, rates, codes, latency, workers, sources; all if not given */
        series?: string;
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['StatsHistory'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listSources: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': { sources: components['schemas']['Source'][] } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listKeys: {
    parameters: operations['listUsers']['parameters'];
    responses: {
      200: {
        content: {
          'application/json': {
            keys: components['schemas']['ApiKey'][];
            /** `cursor` of the next page; null on the last one */
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  createKey: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': {
          /** The program or person that uses it */
          name: string;
          /** read, jobs, login, admin, user:<id> */
          scopes: string[];
          /** When it ends by itself */
          expires_at?: string;
        };
      };
    };
    responses: {
      201: {
        content: {
          'application/json': {
            id: string;
            /** The secret, shown this once: for "Authorization: Bearer" */
            key: string;
            /** Verifies the signatures of its webhooks; shown this once */
            signing_secret: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  rotateKey: {
    parameters: operations['readJob']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          /** How long the old secret works; gateway.keys.rotation_overlap if not given, 0: not at all */
          overlap_seconds?: number;
          /** A new end of the key; without it the end stays */
          expires_at?: string;
        } | null;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            /** It stays when the secret is renewed */
            id: string;
            name: string;
            scopes: string[];
            state: "in force" | "expired" | "revoked";
            created_at: string;
            expires_at: string | null;
            /** To the minute */
            last_used_at: string | null;
            rotated_at: string | null;
            /** Until then the secret before the present one works too */
            old_until: string | null;
            revoked_at: string | null;
            /** The secret, shown this once: for "Authorization: Bearer" */
            key: string;
            /** Verifies the signatures of its webhooks; shown this once */
            signing_secret: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  rotateWebhookSecret: {
    parameters: operations['readJob']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          /** How long the old secret works; gateway.keys.rotation_overlap if not given, 0: not at all */
          overlap_seconds?: number;
        } | null;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            id: string;
            /** Verifies the signatures of its webhooks; shown this once */
            signing_secret: string;
            old_until: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  revokeKey: {
    parameters: operations['readJob']['parameters'];
    requestBody: { content: { 'application/json': Record<string, never> | null } };
    responses: {
      200: { content: { 'application/json': components['schemas']['ApiKey'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listAudit: {
    parameters: {
      query?: {
        action?: "job.cancel" | "job.leave" | "job.retry" | "job.redrive" | "portfolio.replace" | "portfolio.import" | "positions.replace" | "position.add" | "position.remove" | "profile.replace" | "spend.settle" | "auto_fetch.switch" | "schedule.run" | "instance.drain" | "instance.reload" | "key.create" | "key.rotate" | "key.webhook_secret" | "key.revoke" | "session.open" | "notify.user" | "notify.test" | "notify.resume" | "backup.restore" | "schema.up" | "schema.down" | "access.refused";
        actor?: string;
        target?: string;
        outcome?: "done" | "refused";
        since?: string;
        limit?: number;
        cursor?: string;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            rows: {
              id: string;
              at: string;
              source: "http" | "cli";
              /** http: id of the key, null without one in force; cli: account@host of the operating system */
              actor: string | null;
              /** Of the key */
              name: string | null;
              address: string | null;
              action: "job.cancel" | "job.leave" | "job.retry" | "job.redrive" | "portfolio.replace" | "portfolio.import" | "positions.replace" | "position.add" | "position.remove" | "profile.replace" | "spend.settle" | "auto_fetch.switch" | "schedule.run" | "instance.drain" | "instance.reload" | "key.create" | "key.rotate" | "key.webhook_secret" | "key.revoke" | "session.open" | "notify.user" | "notify.test" | "notify.resume" | "backup.restore" | "schema.up" | "schema.down" | "access.refused";
              /** `job:{id}`, `user:{id}`, `key:{id}`, `position:{id}`; of a refusal method and path */
              target: string | null;
              outcome: "done" | "refused";
              /** Why it was refused */
              code: string | null;
              /** Refusals of the same caller and kind that the row stands for */
              times: number;
              details: string | null;
            }[];
            next: string | null;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  createStreamToken: {
    parameters: {};
    requestBody: { content: { 'application/json': Record<string, never> | null } };
    responses: {
      201: { content: { 'application/json': { token: string; expires_at: string } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listSchedules: {
    parameters: {};
    responses: {
      200: {
        content: {
          'application/json': {
            schedules: components['schemas']['Schedule'][];
            /** false: every run is skipped */
            auto_fetch: boolean;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  runSchedule: {
    parameters: {
      path: { name: string };
    };
    requestBody: { content: { 'application/json': Record<string, never> | null } };
    responses: {
      202: { content: { 'application/json': { queued: number; joined: number; refused: number; reason: string | null } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readConfiguration: {
    parameters: {
      query?: {
        /** Only this key, or those of this section */
        below?: string;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            environment: string | null;
            warnings: string[];
            keys: {
              key: string;
              value: unknown;
              origin: string;
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  drainInstance: {
    parameters: {
      path: { instance: string };
    };
    requestBody: { content: { 'application/json': Record<string, never> | null } };
    responses: {
      202: { content: { 'application/json': { instance: string } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listNotifications: {
    parameters: {
      query?: {
        /** Only those of this route */
        route?: string;
        /** Only those of this test of a route; the others are ignored */
        test?: string;
        limit?: number;
      };
    };
    responses: {
      200: {
        content: {
          'application/json': {
            messages: components['schemas']['Notification'][];
            /** Addresses that are not written to, since a mail server said for good that nothing arrives there; the newest hundred */
            stopped: components['schemas']['StoppedAddress'][];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  listNotificationRoutes: {
    parameters: {};
    responses: {
      200: {
        content: {
          'application/json': {
            routes: {
              name: string;
              on: ("alert.raised" | "alert.cleared" | "job.failed" | "history.ended" | "backfill.ended" | "picks.ready" | "notify.test")[];
              min_severity: "info" | "warning" | "critical";
              /** Who is told, for people: addresses without their middle, the host of a webhook */
              to: string[];
              /** What the events of one message have in common; null: each is a message of its own */
              group_by: string[] | null;
              /** Seconds for which a message gathers events */
              wait_s: number;
              /** Seconds after which an alert that lasts is told again; null: it is told once */
              repeat_s: number | null;
              /** When nobody is disturbed */
              quiet: string | null;
              /** A test of it must name the user who is told */
              asks_for_user: boolean;
            }[];
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  testNotificationRoute: {
    parameters: operations['runSchedule']['parameters'];
    requestBody: {
      content: {
        'application/json': {
          /** Whom a route to those who ask tells */
          user?: string;
        } | null;
      };
    };
    responses: {
      202: {
        content: {
          'application/json': {
            /** For `GET /v1/notifications?test=…` */
            test: string;
          };
        };
      };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  openSession: {
    parameters: {};
    requestBody: {
      content: {
        'application/json': {
          key: string;
        } | {
          /** Of the link that "stockmesh dashboard" prints; of use once, for a minute */
          code: string;
        };
      };
    };
    responses: {
      200: { content: { 'application/json': components['schemas']['Me'] } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  closeSession: {
    parameters: {};
    responses: {
      200: { content: { 'application/json': { was_signed_in: boolean } } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  readMe: {
    parameters: {};
    responses: operations['openSession']['responses'];
  };
  streamEvents: {
    parameters: {
      query?: {
        /** Event types, separated by commas: job, status, data, portfolio, presence, stats, alert; all if not given */
        types?: string;
        symbol?: string;
        /** Of POST /v1/events/token, in place of a key: for an EventSource, which sends no header */
        token?: string;
      };
      header?: { "last-event-id"?: string };
    };
    responses: operations['streamJob']['responses'];
  };
  showSubscription: {
    parameters: {
      query: {
        /** Of the link */
        token: string;
      };
    };
    responses: {
      200: { content: { 'text/html': string } };
      '4XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
      '5XX': { content: { 'application/problem+json': components['schemas']['Problem'] } };
    };
  };
  changeSubscription: {
    parameters: operations['showSubscription']['parameters'];
    requestBody: {
      content: {
        'application/x-www-form-urlencoded': {
          "List-Unsubscribe": "One-Click";
        } | {
          /** again: undoes it */
          wish: "stop" | "again";
        };
        'multipart/form-data': {
          "List-Unsubscribe": "One-Click";
        } | {
          /** again: undoes it */
          wish: "stop" | "again";
        };
        'application/json': {
          "List-Unsubscribe": "One-Click";
        } | {
          /** again: undoes it */
          wish: "stop" | "again";
        };
      };
    };
    responses: operations['showSubscription']['responses'];
  };
}
