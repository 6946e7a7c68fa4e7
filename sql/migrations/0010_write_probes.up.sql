-- online: yes
-- The row that a service writes to find out whether the database takes writes.

CREATE TABLE write_probes (
  id TINYINT UNSIGNED NOT NULL,
  at DATETIME(3)      NOT NULL COMMENT 'of the last probe, UTC',
  PRIMARY KEY (id)
) ENGINE = InnoDB;
