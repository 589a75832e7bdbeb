"""Model cards: spliced, never dumped."""
