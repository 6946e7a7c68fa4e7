ALTER TABLE user_portfolio_priority DROP COLUMN fresh_at;
DROP TABLE source_health;
DROP TABLE mesh_stats;
