"""Our scores beside published ones."""
