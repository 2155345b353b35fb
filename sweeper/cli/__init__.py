"""What a command line is made of, for every command: arguments in, messages out, Ctrl-C."""
