"""The commands, one file each: `run(arguments) -> exit code`."""
