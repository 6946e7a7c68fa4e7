DROP TABLE source_budget;
DROP TABLE analyses;
DROP TABLE corporate_actions;
DROP TABLE bars;
DROP TABLE symbols;
