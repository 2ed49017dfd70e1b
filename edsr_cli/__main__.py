"""`python -m edsr_cli` is the command `edsr`."""

from edsr_cli.cli import main

if __name__ == "__main__":
    main()
