DROP TABLE login_answers;
