-- online: yes
-- Who asked for a job over HTTP or on the command line: for the quotas of waiting jobs.

CREATE TABLE job_askers (
  job_id BINARY(16)  NOT NULL,
  asker  VARCHAR(70) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'key:{id} or user:{id}',
  PRIMARY KEY (job_id, asker),
  KEY ix_asker (asker, job_id)
) ENGINE = InnoDB COMMENT = 'a row counts while its job waits; rows of ended jobs are deleted when they are met';
