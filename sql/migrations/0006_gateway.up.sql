-- online: yes
-- Who may speak to the gateway, whom it calls back, and what is switched by hand.

CREATE TABLE api_keys (
  id           CHAR(16)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the first 8 bytes of the hash, in hexadecimal',
  hash         BINARY(32)   NOT NULL COMMENT 'SHA-256 of the key, which is 256 random bits; signs its webhooks',
  name         VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  scopes       JSON         NOT NULL,
  created_at   DATETIME(3)  NOT NULL,
  last_used_at DATETIME(3)  NULL COMMENT 'to the minute',
  revoked_at   DATETIME(3)  NULL,
  PRIMARY KEY (id)
) ENGINE = InnoDB;

CREATE TABLE callbacks (
  id          BINARY(16)   NOT NULL COMMENT 'UUIDv7: what a receiver knows a repeated delivery by',
  job_id      BINARY(16)   NOT NULL,
  key_id      CHAR(16)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'who asked; its hash signs',
  url         VARCHAR(2000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state       ENUM('pending', 'delivered', 'failed') NOT NULL DEFAULT 'pending',
  attempts    SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  due_at      DATETIME(3)  NOT NULL COMMENT 'pending = not before, once the job has ended; else when it ended',
  last_status SMALLINT UNSIGNED NULL COMMENT 'the receiver''s last answer',
  last_error  VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at  DATETIME(3)  NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY ux_job (job_id, key_id, url),
  KEY ix_due (state, due_at, id)
) ENGINE = InnoDB COMMENT = 'webhooks: one a job and receiver, committed with the request';

CREATE TABLE settings (
  name       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  value      JSON        NOT NULL,
  changed_by VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  changed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (name)
) ENGINE = InnoDB COMMENT = 'what is switched while the mesh runs; a setting that is not here has its default';
