-- online: yes
-- What people are told: events as they are committed, and the messages that are made of them.

CREATE TABLE notify_events (
  id       BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name     VARCHAR(48)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'alert.raised, job.failed and so on',
  severity ENUM('info', 'warning', 'critical') NOT NULL,
  subject  VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'alert:{name}, job:{id}: events of one subject are told in their order',
  details  JSON NOT NULL,
  at       DATETIME(3) NOT NULL,
  route    VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'only for this route; NULL: for each that wants it',
  routed   TINYINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '1: its messages are made',
  PRIMARY KEY (id),
  KEY ix_routed (routed, id),
  KEY ix_at (at)
) ENGINE = InnoDB COMMENT = 'written in the transaction of the event';

CREATE TABLE notify_messages (
  id         BINARY(16)   NOT NULL COMMENT 'made of the delivery key of its first event: event, route and recipient',
  first_event BIGINT UNSIGNED NOT NULL,
  route      VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  channel    ENUM('email', 'webhook', 'requester') NOT NULL,
  recipient  VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'an e-mail address, the host of a webhook, or a user',
  lane       BINARY(16)   NOT NULL COMMENT 'of route, recipient and group: its messages are sent in their order, one at a time',
  state      ENUM('open', 'sending', 'sent', 'failed', 'suppressed') NOT NULL COMMENT 'open: more events may join it; from sending on it never changes',
  severity   ENUM('info', 'warning', 'critical') NOT NULL,
  due_at     DATETIME(3) NOT NULL COMMENT 'open: when it is sent. sending: when it is tried again. Ended: when it ended',
  attempts   SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  last_error VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  sealed_at  DATETIME(3) NULL COMMENT 'when its first try began: the date that it carries',
  PRIMARY KEY (id),
  KEY ix_due (state, due_at, first_event),
  KEY ix_lane (lane, state, first_event),
  KEY ix_recipient (channel, recipient, state, due_at)
) ENGINE = InnoDB;

CREATE TABLE notify_deliveries (
  event_id   BIGINT UNSIGNED NOT NULL,
  route      VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  recipient  VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  channel    ENUM('email', 'webhook', 'requester') NOT NULL,
  message_id BINARY(16) NOT NULL,
  PRIMARY KEY (event_id, route, channel, recipient),
  KEY ix_message (message_id, event_id)
) ENGINE = InnoDB COMMENT = 'an event is told to a recipient of a route once';

CREATE TABLE notify_repeats (
  route   VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  subject VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  due_at  DATETIME(3) NOT NULL,
  event   JSON NOT NULL COMMENT 'the event that is told again',
  times   INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (route, subject),
  KEY ix_due (due_at)
) ENGINE = InnoDB COMMENT = 'alerts that are told again while they last';

CREATE TABLE notify_users (
  user_id    VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  email      VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  unwanted   JSON NOT NULL COMMENT 'names of events that this user does not want to be told of',
  changed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (user_id)
) ENGINE = InnoDB COMMENT = 'where users are told of their jobs';
