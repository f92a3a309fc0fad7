"""The command line: a file for each verb that parses, makes one call and renders."""
