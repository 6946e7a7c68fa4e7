DROP TABLE user_portfolio_priority;
DROP TABLE logins;
DROP TABLE holdings;
