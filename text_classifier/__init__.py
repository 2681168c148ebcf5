"""The command `text-classifier`, and the one name that an installed wheel puts into site-packages.

The packages (`export`, `gateway`, `training` …) lie side by side at the top of a checkout, where each can be run in
place (`python -m export`). Their names are those that anybody's project has, so a wheel may not install them as they
are: it would shadow a user's own `training`, or be shadowed by it. It carries them in `text_classifier/packages`,
which is no package and on nobody's `sys.path`; the command puts that folder in front of its own `sys.path`, and of
that of the processes it starts. Nothing else in the environment sees them, and `import export` in another program is
what it was.

The other way would have been one namespace: `text_classifier.export`, by setuptools' `package-dir` alone. Every import
in every package would then have to say `text_classifier.` first, and the folders of a checkout could no longer be run
in place, nor be copied into an image one by one. That would pay for a library, whose users import it. This is an
application: its users run commands, send HTTP requests and read files, and none of them imports a package of it.
"""
