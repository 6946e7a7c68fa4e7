DROP TABLE option_positions;
DROP TABLE chain_days;
DROP TABLE iv_history;
DROP TABLE options_ranks;
DROP TABLE option_current;
DROP TABLE option_runs;
