DROP TABLE settings;
DROP TABLE callbacks;
DROP TABLE api_keys;
