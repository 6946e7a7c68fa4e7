-- online: yes
-- What the clock has started, so that a restart neither skips a scheduled run nor repeats it.

CREATE TABLE schedule_runs (
  name        VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  last_run_at DATETIME(3)  NOT NULL COMMENT 'the due moment of the newest run that was decided about: started, or skipped with a reason in the log',
  PRIMARY KEY (name)
) ENGINE = InnoDB COMMENT = 'one row a schedule of the configuration';
