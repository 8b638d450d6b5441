"""`python -m mocha` is the command line."""

from mocha.cli import run

run()
