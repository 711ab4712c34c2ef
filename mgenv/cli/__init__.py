"""The command line: one thin file a command, each with ``main(argv) -> exit status``."""
