-- online: yes
ALTER TABLE login_answers
  DROP COLUMN taken_at;
