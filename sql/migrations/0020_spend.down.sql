DROP TABLE spend_windows;
DROP TABLE spend;
