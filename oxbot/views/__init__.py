"""Pure folds from facts to the rows that people read."""
