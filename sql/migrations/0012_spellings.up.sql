-- online: no, the old version would write the old spellings again
-- A share class has one spelling, BRK.B. What was stored as BRK-B becomes BRK.B; classes F, L, T and V keep their dash (a dot before these is an exchange: VOD.L).

-- A user who held both spellings holds their sum, at the mean cost.
INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at)
SELECT old.user_id, REPLACE(old.symbol, '-', '.'), old.quantity, old.cost, old.imported_at
  FROM holdings old WHERE old.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$'
ON DUPLICATE KEY UPDATE
  cost = CASE
    WHEN VALUES(quantity) = 0 THEN holdings.cost
    WHEN holdings.quantity = 0 THEN VALUES(cost)
    WHEN holdings.quantity + VALUES(quantity) = 0 THEN NULL
    ELSE (holdings.quantity * holdings.cost + VALUES(quantity) * VALUES(cost)) / (holdings.quantity + VALUES(quantity))
  END,
  quantity = holdings.quantity + VALUES(quantity),
  imported_at = GREATEST(holdings.imported_at, VALUES(imported_at));
DELETE FROM holdings WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';

-- Bars and analyses of both spellings are not mixed: those stored as BRK.B stay.
DELETE t FROM bars t JOIN symbols old ON old.symbol = t.symbol JOIN symbols s ON s.symbol = REPLACE(old.symbol, '-', '.')
 WHERE old.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$' AND s.newest_bar IS NOT NULL;
DELETE t FROM corporate_actions t JOIN symbols old ON old.symbol = t.symbol JOIN symbols s ON s.symbol = REPLACE(old.symbol, '-', '.')
 WHERE old.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$' AND s.newest_bar IS NOT NULL;
DELETE t FROM analyses t JOIN symbols old ON old.symbol = t.symbol JOIN symbols s ON s.symbol = REPLACE(old.symbol, '-', '.')
 WHERE old.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$' AND s.newest_bar IS NOT NULL;
DELETE old FROM symbols old JOIN symbols s ON s.symbol = REPLACE(old.symbol, '-', '.')
 WHERE old.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$' AND s.newest_bar IS NOT NULL;
DELETE s FROM symbols s JOIN symbols old ON s.symbol = REPLACE(old.symbol, '-', '.')
 WHERE old.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE bars t JOIN symbols s ON s.symbol = t.symbol SET t.symbol = REPLACE(t.symbol, '-', '.') WHERE s.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE corporate_actions t JOIN symbols s ON s.symbol = t.symbol SET t.symbol = REPLACE(t.symbol, '-', '.') WHERE s.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE analyses t JOIN symbols s ON s.symbol = t.symbol SET t.symbol = REPLACE(t.symbol, '-', '.') WHERE s.symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE symbols SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';

-- Of two histories of the same day or mode, that of BRK.B stays.
UPDATE IGNORE iv_history SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
DELETE FROM iv_history WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE IGNORE chain_days SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
DELETE FROM chain_days WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE IGNORE option_current SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
DELETE FROM option_current WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE options_ranks SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
UPDATE option_runs SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';

-- Live jobs go on under the spelling of their payload, which each handler reads as BRK.B. Their dedupe keys stay: two live jobs must not get the same one.
UPDATE jobs SET symbol = REPLACE(symbol, '-', '.') WHERE symbol REGEXP '^[A-Z]{1,5}-[A-EG-KM-SUW-Z]$';
