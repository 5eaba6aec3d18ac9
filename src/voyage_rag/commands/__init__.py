"""The commands of `voyage-rag`: one file each, put together in `app.py`.

A command file holds a function with Typer's annotations, named as the command, and `EXAMPLES`. What
the commands keep to, so that they feel like one program:

- Answers go to stdout, everything else to stderr (`screen.py`). With `--json` stdout is JSON alone.
- Progress is for a terminal; in a pipe there is silence.
- A failure that can be foreseen is one line and exit code 1 (`failure.py`); misuse is one line and
  2; Ctrl-C is 130. A bug keeps its traceback.
- Files are read as UTF-8, and `-` is stdin (`texts.py`).
- What only one command needs is imported when it runs, so that `voyage-rag --help` is quick.
- A missing package is named with its extra (`failure.py`).
"""
