"""The command line: parse, call, print. Nothing heavy is imported at the top of its files."""
