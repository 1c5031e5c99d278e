"""`python -m hearth`: the same as the program `hearth`."""

from hearth.main import run

run()
