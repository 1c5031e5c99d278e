"""`python -m hearth.engine.host`: how an engine host is started."""

from hearth.engine.host.process import main

main()
