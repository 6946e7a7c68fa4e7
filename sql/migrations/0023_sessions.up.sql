-- online: yes
-- Browsers that are signed in: a cookie in place of a key, and the codes of one use that open one.

CREATE TABLE sessions (
  hash       BINARY(32)  NOT NULL COMMENT 'SHA-256 of the cookie, which is 256 random bits',
  key_id     CHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'a session may do what this key may, while that is in force',
  created_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL COMMENT 'not in force from then on',
  PRIMARY KEY (hash),
  KEY ix_expires (expires_at)
) ENGINE = InnoDB COMMENT = 'signed in on the dashboard; a row is deleted when its user signs out';

CREATE TABLE session_codes (
  hash       BINARY(32)  NOT NULL COMMENT 'SHA-256 of the code, which is 128 random bits',
  key_id     CHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the session that it opens is of this key',
  expires_at DATETIME(3) NOT NULL COMMENT 'must be used before',
  PRIMARY KEY (hash),
  KEY ix_expires (expires_at)
) ENGINE = InnoDB COMMENT = 'open one session each; of a minute, and deleted when used';
