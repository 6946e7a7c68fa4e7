-- online: yes
-- Which job may be the one that kills its worker.

ALTER TABLE jobs
  ADD COLUMN deaths  TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'attempts that the death of their process ended; from the second on the job runs in a process of its own',
  ADD COLUMN crashes TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of these, the ones in a process of its own';
