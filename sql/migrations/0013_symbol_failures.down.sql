DROP TABLE symbol_failures;
