"""Leaderboards: aggregation, ranks, bands and the formats."""
