"""The tables, as steps that are applied once and in order (sqlite-utils Migrations). A released step is never edited.

A user's rows hang on `users.id` with ON DELETE CASCADE, so that every row has one owner and goes with them. Times are
milliseconds since 1970 UTC. The full-text index holds, for each item, its words with the owner's number in front of
each (`2a_train`): the posting lists of two users never meet. Its row number is the item's id * 4096 + its length in
words, so that a posting list brings the lengths along.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history.faults import REPAIR, HistoryDamaged

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x45545450
"""Marks the file as this program's (PRAGMA application_id): "ETTP"."""

SET_NAME = "edge_ttp.history"
BOOKKEEPING = "_sqlite_migrations"
"""sqlite-utils' own table: which steps were applied."""

_FIRST = """
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  items INTEGER NOT NULL DEFAULT 0,
  words INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE items (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  source TEXT NOT NULL,
  words INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  input TEXT NOT NULL,
  output TEXT NOT NULL,
  metadata TEXT NOT NULL,
  UNIQUE (user, fingerprint)
) STRICT;
CREATE INDEX items_by_time ON items (user, created_at, id, kind, words);

CREATE TRIGGER items_counted AFTER INSERT ON items BEGIN
  UPDATE users SET items = items + 1, words = words + new.words WHERE id = new.user;
END;
CREATE TRIGGER items_uncounted AFTER DELETE ON items BEGIN
  UPDATE users SET items = items - 1, words = words - old.words WHERE id = old.user;
  DELETE FROM item_index WHERE rowid = old.id * 4096 + old.words;
END;

CREATE VIRTUAL TABLE item_index USING fts5 (terms, tokenize = "ascii tokenchars '_'");
CREATE VIRTUAL TABLE item_terms USING fts5vocab (item_index, instance);

CREATE TABLE terms (
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  term TEXT NOT NULL,
  items INTEGER NOT NULL,
  PRIMARY KEY (user, term)
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
  id TEXT NOT NULL PRIMARY KEY,
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  kind TEXT,
  model TEXT NOT NULL,
  reward TEXT,
  n INTEGER NOT NULL,
  chosen INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  rule TEXT NOT NULL,
  reason TEXT NOT NULL,
  sampling TEXT NOT NULL,
  plan TEXT NOT NULL,
  timings TEXT NOT NULL,
  usage TEXT NOT NULL,
  notes TEXT NOT NULL,
  prompt TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX generations_by_time ON generations (user, created_at);

CREATE TABLE candidates (
  generation TEXT NOT NULL REFERENCES generations(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  logprob REAL NOT NULL,
  finish_reason TEXT NOT NULL,
  seed INTEGER NOT NULL,
  mean REAL,
  variance REAL,
  aleatoric REAL,
  epistemic REAL,
  score REAL,
  PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE feedback (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  generation TEXT NOT NULL REFERENCES generations(id) ON DELETE CASCADE,
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  candidate INTEGER NOT NULL,
  text TEXT,
  created_at INTEGER NOT NULL,
  item INTEGER REFERENCES items(id) ON DELETE SET NULL
) STRICT;
CREATE INDEX feedback_by_generation ON feedback (generation);
CREATE INDEX feedback_by_user ON feedback (user, created_at);
CREATE INDEX feedback_by_item ON feedback (item);

CREATE TABLE vectors (
  item INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
  encoder TEXT NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY (item, encoder)
) STRICT;

CREATE TABLE settings (
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;
"""


def m001_first_tables(db: Database) -> None:
    """Users, items with their index, generations with their candidates, feedback, vectors, settings."""
    for statement in _statements(_FIRST):
        db.conn.execute(statement)
    db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")


_LEARNING = """
ALTER TABLE users ADD COLUMN evidence INTEGER NOT NULL DEFAULT 0;

CREATE TABLE layers (
  generation TEXT NOT NULL PRIMARY KEY REFERENCES generations(id) ON DELETE CASCADE,
  reward TEXT NOT NULL,
  features BLOB NOT NULL,
  noise BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE calibrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  item INTEGER NOT NULL UNIQUE REFERENCES items(id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  model TEXT NOT NULL,
  candidates TEXT NOT NULL
) STRICT;
CREATE INDEX calibrations_by_user ON calibrations (user);

CREATE TABLE evidence (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  calibration INTEGER UNIQUE REFERENCES calibrations(id) ON DELETE CASCADE,
  feedback INTEGER UNIQUE REFERENCES feedback(id) ON DELETE CASCADE,
  reward TEXT NOT NULL,
  kind TEXT NOT NULL,
  moment INTEGER NOT NULL,
  candidate INTEGER NOT NULL,
  features BLOB NOT NULL,
  noise BLOB NOT NULL,
  utility BLOB,
  CHECK ((calibration IS NULL) <> (feedback IS NULL))
) STRICT;
CREATE INDEX evidence_by_user ON evidence (user, reward, moment);

CREATE TRIGGER evidence_counted AFTER INSERT ON evidence BEGIN
  UPDATE users SET evidence = evidence + 1 WHERE id = new.user;
END;
CREATE TRIGGER evidence_uncounted AFTER DELETE ON evidence BEGIN
  UPDATE users SET evidence = evidence + 1 WHERE id = old.user;
END;

CREATE TABLE posteriors (
  user INTEGER PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE,
  reward TEXT NOT NULL,
  version INTEGER NOT NULL,
  evidence INTEGER NOT NULL,
  trust REAL NOT NULL,
  mean BLOB NOT NULL,
  covariance BLOB NOT NULL,
  record TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
"""


def m002_learning(db: Database) -> None:
    """The last layer of scored generations, candidates drawn for past items, evidence, posteriors."""
    for statement in _statements(_LEARNING):
        db.conn.execute(statement)


def m003_chores(db: Database) -> None:
    """What is still to be done to the file itself."""
    db.conn.execute("CREATE TABLE chores (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID")


_IMPORTS = """
CREATE TABLE imports (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  import INTEGER NOT NULL,
  user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (import, user)
) STRICT;
ALTER TABLE items ADD COLUMN import INTEGER;
ALTER TABLE generations ADD COLUMN import INTEGER;
CREATE INDEX items_by_import ON items (import);
CREATE INDEX generations_by_import ON generations (import);
UPDATE items SET kind = 'prompt' WHERE kind = 'chat' AND source IN ('chatgpt', 'claude');
"""


def m004_imports(db: Database) -> None:
    """What was imported together, and which items and generations it brought; what was typed to chatbots."""
    for statement in _statements(_IMPORTS):
        db.conn.execute(statement)


_CONVERSATIONS = """
ALTER TABLE generations ADD COLUMN remember TEXT;
ALTER TABLE generations ADD COLUMN conversation TEXT;
"""


def m005_conversations(db: Database) -> None:
    """Under which input an accepted answer is kept, and in which conversation it was given."""
    for statement in _statements(_CONVERSATIONS):
        db.conn.execute(statement)


Step = Callable[["Database"], None]
STEPS: tuple[Step, ...] = (m001_first_tables, m002_learning, m003_chores, m004_imports, m005_conversations)


def _statements(script: str) -> list[str]:
    """The single statements of `script`. `executescript` would commit the transaction around them."""
    found, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found


def pending(connection: sqlite3.Connection, path: str) -> list[str]:
    """Names of the steps not applied yet, in order.

    HistoryUnavailable if the file is another program's or a newer version's.
    """
    known = [step.__name__ for step in STEPS]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    filled = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if application not in (0, APPLICATION_ID) or (filled and not application):
        raise HistoryUnavailable(f"{path} is a database of another program", "name another file or folder")
    applied: set[str] = set()
    if filled:
        if not is_table(connection, BOOKKEEPING):
            raise HistoryDamaged(f"the history {path} does not say of which version it is", REPAIR)
        query = f"SELECT name FROM {BOOKKEEPING} WHERE migration_set = ?"  # noqa: S608
        applied = {str(row[0]) for row in connection.execute(query, (SET_NAME,))}
    newer = sorted(applied - set(known))
    if newer:
        raise HistoryUnavailable(
            f"the history {path} was written by a newer version (it has {newer[-1]})",
            "upgrade: pip install --upgrade edge-ttp",
        )
    return [name for name in known if name not in applied]


def is_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether `name` is an ordinary table: no view, virtual table or computed column, which could take for ever."""
    row = connection.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    if row is None or row[0] != "table" or not isinstance(row[1], str):
        return False
    words = row[1].upper().replace("(", " ( ").split()
    return words[:2] == ["CREATE", "TABLE"] and not {"AS", "GENERATED"} & set(words)


def computes_nothing(kind: str, sql: object) -> bool:
    """Whether an entry of the schema is a plain table or index, without an expression in it."""
    if sql is None:
        return kind == "index"  # SQLite's own, for UNIQUE and PRIMARY KEY
    if not isinstance(sql, str) or kind not in ("table", "index"):
        return False
    words = sql.upper().replace("(", " ( ").split()
    plain = (["CREATE", "TABLE"], ["CREATE", "INDEX"], ["CREATE", "UNIQUE"])
    return words[:2] in plain and not {"AS", "GENERATED", "CHECK", "DEFAULT", "WHERE", "REFERENCES"} & set(words)


def migrate(connection: sqlite3.Connection) -> None:
    """Applies what is pending. The caller holds the write lock (BEGIN IMMEDIATE): each step is a savepoint in it."""
    # Imported here because it takes a tenth of a second, and most processes find nothing pending.
    from sqlite_utils import Database, Migrations

    steps = Migrations(SET_NAME)
    for step in STEPS:
        steps()(step)
    steps.apply(Database(connection, execute_plugins=False))
