DROP TABLE session_codes;
DROP TABLE sessions;
