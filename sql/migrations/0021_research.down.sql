DROP TABLE model_analyses;
DROP TABLE news_checks;
DROP TABLE news;
DROP TABLE fundamentals;
