-- online: yes
-- Backups that were made, so that an alert can tell when the last one is too old.

CREATE TABLE backups (
  snapshot_at DATETIME(3) NOT NULL COMMENT 'the moment whose rows it has, by the clock of the database',
  finished_at DATETIME(3) NOT NULL,
  host        VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  folder      VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  row_count   BIGINT UNSIGNED NOT NULL,
  byte_count  BIGINT UNSIGNED NOT NULL COMMENT 'of the files',
  PRIMARY KEY (snapshot_at)
) ENGINE = InnoDB;
