"""Sources of task data: mteb, hub data sets and local files, all read into the same examples."""
