-- online: yes
-- Which portfolio files have been imported, so that a start imports each content once.

CREATE TABLE imports (
  sha256      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of the file''s content',
  source      VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'its path at that time',
  users       INT UNSIGNED NOT NULL,
  positions   INT UNSIGNED NOT NULL COMMENT 'holdings and watched symbols',
  imported_at DATETIME(3) NOT NULL,
  PRIMARY KEY (sha256)
) ENGINE = InnoDB;

ALTER TABLE logins MODIFY hours JSON NOT NULL COMMENT 'for each hour of the day, UTC: the days (since 1970-01-01) with a login in it, newest last';
