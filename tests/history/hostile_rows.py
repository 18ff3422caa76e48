"""Rows that this program cannot have written, put into a database behind its back; seeded ones, too."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edge_ttp.history import History
from edge_ttp.history.learned_rows import Layer, StoredEvidence
from edge_ttp.schema import Candidate, Feedback

from .conftest import START, new_generation, new_item

INVALID = b"CAST(x'ff41fe' AS TEXT)".decode()
DEEP = "'" + "[" * 100_000 + "'"
DEEP_OBJECT = "'" + '{"a":' * 20_000 + "1" + "}" * 20_000 + "'"

# name -> (table that is named, statements)
CRAFTED: dict[str, tuple[str, str]] = {
    "metadata that is not JSON": ("items", "UPDATE items SET metadata = 'no' WHERE id = 2"),
    "metadata that is a list": ("items", "UPDATE items SET metadata = '[1]' WHERE id = 2"),
    "metadata 100 kB deep": ("items", f"UPDATE items SET metadata = {DEEP} WHERE id = 2"),
    "metadata of deep objects": ("items", f"UPDATE items SET metadata = {DEEP_OBJECT} WHERE id = 2"),
    "metadata with NaN": ("items", """UPDATE items SET metadata = '{"a": NaN}' WHERE id = 2"""),
    "metadata with a huge number": ("items", "UPDATE items SET metadata = '{\"a\": ' || printf('%.9000d', 1) || '}'"),
    "an output that is not UTF-8": ("items", f"UPDATE items SET output = {INVALID} WHERE id = 2"),
    "an input that is not UTF-8": ("items", f"UPDATE items SET input = {INVALID} WHERE id = 2"),
    "a kind that is not UTF-8": ("items", f"UPDATE items SET kind = {INVALID} WHERE id = 2"),
    "a kind with control characters": ("items", "UPDATE items SET kind = 'a' || char(10) || char(27) WHERE id = 2"),
    "a source that is not UTF-8": ("items", f"UPDATE items SET source = {INVALID} WHERE id = 2"),
    "an empty output": ("items", "UPDATE items SET output = '' WHERE id = 2"),
    "a time after all times": ("items", "UPDATE items SET created_at = 9000000000000000000 WHERE id = 2"),
    "a time before all times": ("items", "UPDATE items SET created_at = -9000000000000000000 WHERE id = 2"),
    "a text in the place of a time": ("items", "UPDATE items SET created_at = 'soon' WHERE id = 2"),
    "a broken number in the place of a time": ("items", "UPDATE items SET created_at = 0.5 WHERE id = 2"),
    "bytes in the place of a text": ("items", "UPDATE items SET output = x'00ff' WHERE id = 2"),
    "a user id that is not UTF-8": ("items", f"UPDATE users SET name = {INVALID} WHERE name = 'bob'"),
    "a user id of control characters": ("items", "UPDATE users SET name = char(27) || '[31m' WHERE name = 'bob'"),
    "a plan that is {}": ("generations", "UPDATE generations SET plan = '{}' WHERE id = 'g1'"),
    "a plan that is not JSON": ("generations", "UPDATE generations SET plan = '' WHERE id = 'g1'"),
    "a plan with foreign fields": ("generations", "UPDATE generations SET plan = '{\"x\": 1}' WHERE id = 'g1'"),
    "timings that are a number": ("generations", "UPDATE generations SET timings = '5' WHERE id = 'g1'"),
    "notes 100 kB deep": ("generations", f"UPDATE generations SET notes = {DEEP} WHERE id = 'g1'"),
    "a rule that is none": ("generations", "UPDATE generations SET rule = 'luck' WHERE id = 'g1'"),
    "a chosen candidate that is none": ("generations", "UPDATE generations SET chosen = 99 WHERE id = 'g1'"),
    "fewer candidates drawn than there are": ("generations", "UPDATE generations SET n = 1 WHERE id = 'g1'"),
    "no candidates": ("generations", "DELETE FROM candidates WHERE generation = 'g1'"),
    "a candidate missing": ("generations", "DELETE FROM candidates WHERE generation = 'g1' AND position = 0"),
    "a candidate that is not UTF-8": (
        "generations",
        f"UPDATE candidates SET text = {INVALID} WHERE generation = 'g1' AND position = 1",
    ),
    "a candidate with an infinite number": ("generations", "UPDATE candidates SET logprob = 9e999"),
    "a prompt that is not UTF-8": ("generations", f"UPDATE generations SET prompt = {INVALID} WHERE id = 'g1'"),
    "an answer at no time": ("generations", "UPDATE generations SET created_at = 9000000000000000000 WHERE id = 'g1'"),
    "a judgment of no kind": ("feedback", "UPDATE feedback SET kind = 'shrug' WHERE id = 1"),
    "a judgment on no candidate": ("feedback", "UPDATE feedback SET candidate = 77 WHERE id = 1"),
    "an edit without a text": ("feedback", "UPDATE feedback SET text = NULL WHERE kind = 'edit'"),
    "a judgment that is not UTF-8": ("feedback", f"UPDATE feedback SET text = {INVALID} WHERE kind = 'edit'"),
    "a judgment at no time": ("feedback", "UPDATE feedback SET created_at = 9000000000000000000 WHERE id = 1"),
    "candidates drawn that are not JSON": ("calibrations", "UPDATE calibrations SET candidates = 'x'"),
    "candidates drawn 100 kB deep": ("calibrations", f"UPDATE calibrations SET candidates = {DEEP}"),
    "candidates drawn of the wrong shape": ("calibrations", "UPDATE calibrations SET candidates = '[[1]]'"),
    "evidence of no kind": ("evidence", "UPDATE evidence SET kind = 'rumour'"),
    "evidence cut short": ("evidence", "UPDATE evidence SET features = x'0011'"),
    "evidence of other features": ("evidence", "UPDATE evidence SET features = zeroblob(36) WHERE id = 1"),
    "evidence with NaN": ("evidence", "UPDATE evidence SET noise = x'0000c07f0000c07f0000c07f'"),
    "evidence without noise": ("evidence", "UPDATE evidence SET noise = x''"),
    "a layer cut short": ("layers", "UPDATE layers SET features = x'00112233'"),
    "a layer of another number of candidates": (
        "layers",
        "UPDATE layers SET features = zeroblob(8), noise = x'0000803f'",
    ),
    "a retention that is none": ("settings", "UPDATE settings SET value = 'x'"),
    "a retention before the beginning": ("settings", "UPDATE settings SET value = '-9'"),
    "a retention with 5,000 digits": ("settings", "UPDATE settings SET value = printf('%.5000d', 7)"),
    "a posterior with NaN": ("", "UPDATE posteriors SET mean = x'000000000000f87f000000000000f87f'"),
    "a posterior cut short": ("", "UPDATE posteriors SET covariance = x'00'"),
    "a posterior without a record": ("", "UPDATE posteriors SET record = 'x'"),
    "a vector cut short": ("", "UPDATE vectors SET vector = x'0011'"),
    "counts below zero": ("", "UPDATE users SET items = -5, words = -9; UPDATE terms SET items = -1"),
    "counts beyond all numbers": ("", "UPDATE users SET items = 9223372036854775807, words = 9223372036854775807"),
    "terms that are not UTF-8": ("", f"UPDATE OR IGNORE terms SET term = {INVALID} WHERE term LIKE 'h%'"),
}


def fill(path: Path) -> None:
    """A history at `path` with rows in every table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_filled())


@cache
def _filled() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        _fill(path)
        return path.read_bytes()


def _fill(path: Path) -> None:
    with History.open(path) as history:
        items = [history.add(new_item(f"hello number {at}", day=at, given=f"say {at}")) for at in range(6)]
        history.add(new_item("a letter of bob's", user="bob", given="write"))
        for name in ("g1", "g2"):
            history.record(new_generation(name), layer=Layer("r1", np.eye(3, 2), np.full(3, 0.5)))
        utility = np.array([0.1, 0.2, 0.3])
        evidence = StoredEvidence("written", Layer("r1", np.eye(3, 2), np.full(3, 0.5)), 1000, utility)
        drawn = [Candidate(text=text, tokens=3, logprob=-1.0) for text in ("one", "two", "three")]
        for item in items[:3]:
            history.calibrate(item, "tiny", drawn, evidence)
        later = START + timedelta(days=2)
        for given in (
            Feedback(generation_id="g1", user_id="ann", kind="reject", candidate=0, created_at=later),
            Feedback(generation_id="g2", user_id="ann", kind="edit", candidate=1, text="better", created_at=later),
        ):
            history.add_feedback(given)
        history.put_vectors("e1", {item.id: np.ones(4) for item in items if item.id is not None})
        history.set_retention("ann", 36_500)


def damage(path: Path, statements: str) -> None:
    """Runs the statements on the file, without the rules of its tables."""
    with closing(sqlite3.connect(path)) as db:
        strict = db.execute("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%STRICT%'").fetchall()
        loose = [(name, sql.replace(") STRICT, WITHOUT", ") WITHOUT").replace(") STRICT", ")")) for name, sql in strict]
        _write_schema(db, loose)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)
    with closing(sqlite3.connect(path)) as db:
        _write_schema(db, strict)


def _write_schema(db: sqlite3.Connection, tables: list[tuple[str, str]]) -> None:
    db.execute("PRAGMA writable_schema = ON")
    db.executemany("UPDATE sqlite_master SET sql = ? WHERE name = ?", [(sql, name) for name, sql in tables])
    version = db.execute("PRAGMA schema_version").fetchone()[0]
    db.execute(f"PRAGMA schema_version = {version + 1}")
    db.commit()


_VALUES = (
    "NULL",
    "''",
    "'{}'",
    "'[]'",
    "'null'",
    "'NaN'",
    "x''",
    "x'ff'",
    "zeroblob(3)",
    "zeroblob(4000)",
    "-1",
    "0",
    "1",
    "9223372036854775807",
    "-9223372036854775808",
    "9e999",
    "0.5",
    "'soon'",
    "char(0)",
    "char(27, 10, 7)",
    INVALID,
    DEEP,
    "'\ufeff'",
    "printf('%.5000d', 7)",
    "hex(randomblob(200))",
)
_COLUMNS = {
    "users": ("name", "created_at", "items", "words", "evidence"),
    "items": ("user", "kind", "created_at", "source", "words", "fingerprint", "input", "output", "metadata"),
    "terms": ("term", "items"),
    "generations": (
        *("id", "user", "created_at", "kind", "model", "reward", "n", "chosen", "seed", "rule", "reason"),
        *("sampling", "plan", "timings", "usage", "notes", "prompt", "text"),
    ),
    "candidates": (
        *("generation", "position", "text", "tokens", "logprob", "finish_reason", "seed"),
        *("mean", "variance", "aleatoric", "epistemic", "score"),
    ),
    "feedback": ("generation", "user", "kind", "candidate", "text", "created_at", "item"),
    "layers": ("generation", "reward", "features", "noise"),
    "calibrations": ("user", "item", "created_at", "model", "candidates"),
    "evidence": (
        *("user", "calibration", "feedback", "reward", "kind", "moment", "candidate", "features", "noise", "utility"),
    ),
    "vectors": ("item", "encoder", "vector"),
    "settings": ("user", "name", "value"),
    "_sqlite_migrations": ("migration_set", "name", "applied_at"),
    "item_index_content": ("c0",),
    "item_index_data": ("block",),
    "item_index_docsize": ("sz",),
    "sqlite_sequence": ("seq",),
}


def random_rows(chance: random.Random) -> str:
    """One to six statements that put nonsense into rows."""
    statements = []
    for _ in range(chance.randint(1, 6)):
        table = chance.choice(list(_COLUMNS))
        column = chance.choice(_COLUMNS[table])
        where = chance.choice(("", " WHERE rowid % 2 = 0", " WHERE random() % 2 = 0"))
        if "rowid" in where and table in ("terms", "candidates", "layers", "settings"):
            where = ""
        statements.append(f"UPDATE OR IGNORE {table} SET {column} = {chance.choice(_VALUES)}{where};")
    return "\n".join(statements)


def random_schema(chance: random.Random) -> str:
    """Statements that change tables, indexes, triggers."""
    table = chance.choice(list(_COLUMNS))
    return chance.choice(
        (
            f"DROP TABLE {table}",
            f"DROP TABLE {table}; CREATE VIEW {table} AS SELECT 1 AS id, 2 AS user, 'a' AS name",
            f"DROP TABLE {table}; CREATE TABLE {table} (id, user, name, generation)",
            f"ALTER TABLE {table} RENAME TO {table}_2",
            f"ALTER TABLE {table} ADD COLUMN more DEFAULT 'x'",
            f"CREATE TRIGGER eater BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END",
            f"CREATE TRIGGER bomb AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'bomb'); END",
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n",
            "DROP TRIGGER items_uncounted",
            "DROP INDEX items_by_time",
            "CREATE TABLE foreign_rows (item REFERENCES items(id) ON DELETE RESTRICT)",
            f"PRAGMA application_id = {chance.randint(0, 2**31 - 1)}",
            f"PRAGMA user_version = {chance.randint(0, 2**31 - 1)}",
            "DELETE FROM _sqlite_migrations",
            "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('edge_ttp.history', 'm999_future')",
            "PRAGMA journal_mode = DELETE",
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'TEXT', 'BLOB')",
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = rootpage + 1 WHERE rootpage > 1",
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'items'",
            f"PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE TABLE x' WHERE name = '{table}'",
            f"PRAGMA writable_schema = ON; UPDATE sqlite_master SET name = {json.dumps(table)} || 'x' WHERE rowid = 4",
        )
    )


def flip_bits(path: Path, chance: random.Random) -> str:
    """Flips bits of the file, of its first page as often as of all others; says which."""
    data = bytearray(path.read_bytes())
    kind = chance.choice(("header", "schema page", "anywhere", "one page", "zeroed page", "cut"))
    if kind == "cut":
        path.write_bytes(bytes(data[: chance.randrange(len(data))]))
        return "cut"
    if kind == "zeroed page":
        at = chance.randrange(len(data) // 4096) * 4096
        data[at : at + 4096] = bytes(4096)
    else:
        begin, end = {"header": (0, 100), "schema page": (100, 4096)}.get(kind, (0, len(data)))
        if kind == "one page":
            begin = chance.randrange(len(data) // 4096) * 4096
            end = begin + 4096
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            data[chance.randrange(begin, end)] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))
    return kind
