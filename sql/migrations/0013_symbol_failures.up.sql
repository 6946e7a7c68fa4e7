-- online: yes
-- Symbols that the sources have no answer for: a login does not ask for them again before `again_at`.

CREATE TABLE symbol_failures (
  symbol   VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  what     VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'what was asked for: bars',
  sources  VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the configured sources that were asked: others may know the symbol',
  since    DATETIME(3)  NOT NULL COMMENT 'the first failure after the last success',
  asked_at DATETIME(3)  NOT NULL COMMENT 'the last one',
  again_at DATETIME(3)  NOT NULL COMMENT 'the end of the pause',
  times    INT UNSIGNED NOT NULL COMMENT 'pauses since then, each longer than the one before',
  code     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason   VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (symbol, what, sources)
) ENGINE = InnoDB COMMENT = 'a success with bars after asked_at makes a row void';
