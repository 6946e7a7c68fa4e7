-- online: yes
-- What became of the newest run of each schedule: a reason that stands in a log alone is read by nobody.

ALTER TABLE schedule_runs
  ADD COLUMN decided_at DATETIME(3) NULL COMMENT 'when the run was started or skipped; NULL = none was yet',
  ADD COLUMN skipped    VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'why it was skipped; NULL = it was started',
  ADD COLUMN queued     INT UNSIGNED NULL COMMENT 'jobs that it made',
  ADD COLUMN joined     INT UNSIGNED NULL COMMENT 'of jobs that were there',
  ADD COLUMN refused    INT UNSIGNED NULL;
