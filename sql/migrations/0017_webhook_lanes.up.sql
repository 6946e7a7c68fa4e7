-- online: no, the old version does not know webhooks that wait for their job
-- Webhooks: due ones are found by receiver, and are signed with a secret of their own.

ALTER TABLE callbacks
  MODIFY state ENUM('pending', 'delivered', 'failed', 'waiting') NOT NULL DEFAULT 'pending' COMMENT 'waiting = until the job has ended',
  ADD COLUMN host VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin
      AS (LEFT(SUBSTRING_INDEX(SUBSTRING_INDEX(url, '/', 3), '/', -1), 255)) VIRTUAL COMMENT 'the receiver: host and port of the URL',
  ADD KEY ix_lane (state, host, key_id, due_at, id);

CREATE TABLE webhook_secrets (
  key_id     CHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret     BINARY(32)  NOT NULL COMMENT 'signs the webhooks of the key; the sender needs it as it is, so stockmesh_read must not see this table',
  created_at DATETIME(3) NOT NULL,
  old_secret BINARY(32)  NULL COMMENT 'the one before',
  old_until  DATETIME(3) NULL COMMENT 'until then both sign',
  PRIMARY KEY (key_id)
) ENGINE = InnoDB COMMENT = 'of keys without a row the hash signs, as it did before';
