DROP TABLE pick_universe_returns;
DROP TABLE pick_returns;
DROP TABLE pick_universes;
DROP TABLE report_drafts;
DROP TABLE weekly_reports;
DROP TABLE profiles;
