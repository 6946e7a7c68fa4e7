-- online: yes
-- Jobs that only workers with a capability may run, such as region:eu. The capability is the first column of ix_type, so a worker finds its own jobs behind a million of others.
-- The version before makes no such jobs, but it does not look at the capability of a job either: none is configured before all workers are of this version. Meanwhile a worker
-- of the version before that claims some types alone reads all of ix_type for each of them.

ALTER TABLE jobs
  ADD COLUMN capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'that its worker must have; NULL = any worker';

ALTER TABLE ready
  ADD COLUMN capability VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'as in jobs; empty = any worker',
  DROP KEY ix_type,
  ADD KEY ix_type (capability, type, queue, priority);

ALTER TABLE instances
  ADD COLUMN capabilities JSON NULL COMMENT 'worker.capabilities of a worker; NULL = none';

CREATE OR REPLACE SQL SECURITY INVOKER VIEW job_states AS
  SELECT j.id, j.queue,
         CASE WHEN r.job_id IS NOT NULL THEN 'ready' WHEN s.job_id IS NOT NULL THEN 'scheduled' WHEN b.job_id IS NOT NULL THEN 'blocked'
              WHEN n.job_id IS NOT NULL THEN 'running' ELSE e.state END AS state,
         j.priority, COALESCE(r.attempt, s.attempt, b.attempt, n.attempt, e.attempt) AS attempt, j.max_attempts,
         COALESCE(r.due_at, s.due_at, b.due_at, n.due_at, e.ended_at) AS due_at, j.type, j.symbol, j.user_id,
         COALESCE(n.worker_id, e.worker_id) AS worker_id, COALESCE(r.blocked_on, b.blocked_on) AS blocked_on, j.aged, j.has_dependents,
         j.enqueued_at, COALESCE(n.started_at, e.started_at) AS started_at, e.ended_at, j.deaths, j.crashes, j.capability
    FROM jobs j
    LEFT JOIN ready r ON r.queue = j.queue AND r.priority = j.priority AND r.job_id = j.id
    LEFT JOIN scheduled s ON s.job_id = j.id
    LEFT JOIN blocked b ON b.job_id = j.id
    LEFT JOIN running n ON n.job_id = j.id
    LEFT JOIN ended e ON e.job_id = j.id;
