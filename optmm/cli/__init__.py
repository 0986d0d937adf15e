"""The command line: one file a command. Data on stdout, words and progress on stderr."""
