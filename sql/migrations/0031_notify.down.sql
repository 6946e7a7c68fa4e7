DROP TABLE notify_users;
DROP TABLE notify_repeats;
DROP TABLE notify_deliveries;
DROP TABLE notify_messages;
DROP TABLE notify_events;
