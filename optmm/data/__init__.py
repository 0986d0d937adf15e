"""Where markets come from: readers of recorded days and the store of our own."""
