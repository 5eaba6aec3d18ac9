"""The commands of `voyage-rag`: one module each, combined in `app.py`.

A command module contains a function with Typer's annotations, named like the command, and
`EXAMPLES`. All commands follow these conventions:

- Results go to stdout, everything else to stderr (`screen.py`). With `--json`, stdout contains only
  JSON.
- Progress is shown on a terminal only.
- An expected failure prints one line and exits with 1 (`failure.py`), misuse prints one line and
  exits with 2, a job that skipped damaged files exits with 3, Ctrl-C exits with 130. A bug prints
  a traceback.
- Files are read as UTF-8 unless `--encoding` is given, and `-` is stdin (`texts.py`).
- Imports that only one command needs are deferred, so that `voyage-rag --help` is fast.
- The error for a missing package names the extra (`app.py`).
"""
