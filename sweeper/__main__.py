"""`python -m sweeper`."""

from sweeper.app import main

main()
