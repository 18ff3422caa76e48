"""The hostile-input run: seeded makers of bad input, each given to edge-ttp in a process that is watched from outside.

    python -m tests.hostile --each 850 [--kind gguf --kind mbox] [--seed 0] [--log run.jsonl] [--write]

How it is built
- `kinds/NAME.py` is one kind of hostile input: a module with a function `open(home) -> Kind`, named in `kinds.KINDS`.
  A Kind (hostile/case.py) has `deadline_s` (by when a call has to be back), `budget_bytes` (what the policy may take;
  0 where none is loaded) and `case(chance, folder) -> Case`: from the random generator `chance` alone it makes one bad
  input in the empty folder `folder`. A Case says in a few words what is wrong with it (`what`) and has `call`, which
  gives it to the public API (or, with `process.command`, to the command line) and returns.
- `worker.py` runs cases one after another in one process, the "calling process", and prints a line before and after
  each. `watch.py` starts it, measures its memory and that of its children, and starts another where it died or hung.
- `table.py` counts. A call may *answer* (return) or *refuse* (raise an EdgeTTPError). Everything else is a fault:
  `death` (the calling process ended), `traceback` (any other exception), `late` (deadline + 2 s, twice in a row),
  `memory` (more than the budget and 1 GB), `wrong` (a Fault that the case itself raised: rows lost, a file replaced).
- A case is named by kind, seed and number: `python -m tests.hostile --kind gguf --seed 0 --only 17` runs that one.

To add a kind: write `kinds/NAME.py`, put a line into `kinds.KINDS`, run
`python -m tests.hostile --kind NAME --each 20`.
`make soak` runs 850 of each; `--write` puts the table into docs/measured/hostile-inputs.md.
"""
