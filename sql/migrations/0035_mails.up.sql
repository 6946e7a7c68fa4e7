-- online: yes
-- Who does not want to be told may be an address of a route too; mail that came back, and the addresses that are not written to since.

ALTER TABLE notify_users
  MODIFY user_id VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'a user, or an e-mail address of a route';

ALTER TABLE notify_messages
  MODIFY state ENUM('open', 'sending', 'sent', 'failed', 'suppressed', 'bounced') NOT NULL
    COMMENT 'open: more events may join it; from sending on it never changes; bounced: the mail server took it, and it came back',
  ADD COLUMN address VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'where e-mail was sent',
  ADD COLUMN code VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'of a refusal, a delay or a return: 5.1.1 (RFC 3463), or 550';

CREATE TABLE notify_stops (
  address    VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'in lower case',
  code       VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason     VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  message_id BINARY(16)   NOT NULL COMMENT 'the message that was refused or came back; it may be deleted since',
  stopped_at DATETIME(3)  NOT NULL,
  PRIMARY KEY (address)
) ENGINE = InnoDB COMMENT = 'addresses that are not written to any more, since no mail arrives there';
