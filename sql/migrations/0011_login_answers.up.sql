-- online: yes
-- Logins that are committed and whose answers are not on the broker yet. A restarted service answers them from their rows in user_portfolio_priority.

CREATE TABLE login_answers (
  id          BINARY(16) NOT NULL COMMENT 'UUIDv7: ascends with the commits',
  instance    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the process that committed them and answers them',
  admitted_at DATETIME(3) NOT NULL,
  logins      JSON NOT NULL COMMENT '[[user_id, epoch milliseconds of the login]]',
  PRIMARY KEY (id)
) ENGINE = InnoDB COMMENT = 'one row a batch of logins, deleted when the batch is answered';
