"""`python -m cutline` is the command line."""

from cutline.cli import main

main()
