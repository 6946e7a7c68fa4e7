-- Nothing to take back: the earlier build reads BRK.B as well.
SELECT 1;
