"""The command line as a whole: help, what is loaded when, errors as one line or one object, exit codes."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import typer

from edge_ttp import __version__, errors
from edge_ttp.__main__ import main as program
from edge_ttp.cli import main
from edge_ttp.cli.main import COMMANDS, PLUGINS, run
from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.schema import Budget

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeTTPError)]
HEAVY = (
    "numpy",
    "rich",
    "edge_ttp.schema",
    "edge_ttp.runtime",
    "llama_cpp",
    "onnxruntime",
    "sqlite_utils",
    "httpx",
    "tokenizers",
    "torch",
)


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A command and all commands below it, with their paths."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{path} {name}")


def loaded(name: str) -> Any:
    app = main._load_plugin(name) if name in PLUGINS else import_module(COMMANDS[name][0]).app
    return typer.main.get_command(app)


@pytest.mark.parametrize("name", [*COMMANDS, *PLUGINS])
def test_every_command_option_and_argument_has_help(name: str) -> None:
    silent = []
    for path, command in walk(loaded(name), name):
        if not (command.help or "").strip():
            silent.append(path)
        silent += [f"{path}: {one.name}" for one in command.params if not (getattr(one, "help", "") or "").strip()]
    assert silent == []


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, text in {**{name: line for name, (_, line) in COMMANDS.items()}, **PLUGINS}.items():
        assert any(line.split()[:1] == [name] and text.split()[0] in line for line in lines), name


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    heavy = set(HEAVY)
    if len(arguments) == 1:
        heavy.add("pydantic")  # typer needs it for a command's own page
    if arguments[0] in ("generate", "rewrite", "chat", "plan"):
        heavy.remove("edge_ttp.schema")  # their options are the fields of schema.Sampling
    code = (
        "import sys\n"
        "from edge_ttp.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"found = [name for name in {sorted(heavy)!r} if name in sys.modules]\n"
        "print(code, found, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert done.stdout.strip()


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"edge-ttp {__version__}\n"


def test_without_a_command_the_help_page_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["genrate"], "No such command 'genrate'"),
        (["generate", "hi", "--bogus"], "No such option: --bogus"),
        (["generate", "hi", "--n"], "--n"),
        (["feedback"], "Missing argument"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(arguments) == InvalidInput.exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.startswith("edge-ttp: ")
    assert printed.err.count("\n") == 1
    assert "--help" in printed.err

    assert run([*arguments[:1], "--json", *arguments[1:]]) == InvalidInput.exit_code
    printed = capsys.readouterr()
    assert printed.err == ""
    assert words in json.loads(printed.out)["error"]["message"]


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `edge-ttp fail` raise."""

    def prepare(error: BaseException) -> None:
        app = typer.Typer()

        @app.command()
        def fail(as_json: bool = typer.Option(False, "--json")) -> None:
            raise error

        module = ModuleType("edge_ttp_failing_command")
        module.app = app  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "fail", (module.__name__, "Fails."))

    return prepare


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_has_its_exit_code_one_line_and_one_object(
    capsys: pytest.CaptureFixture[str], fail_with: Callable[[BaseException], None], kind: type[EdgeTTPError]
) -> None:
    fail_with(kind("it broke", "mend it"))
    assert run(["fail"]) == kind.exit_code
    assert capsys.readouterr() == ("", "edge-ttp: it broke; mend it\n")
    assert run(["fail", "--json"]) == kind.exit_code
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out) == {"error": kind("it broke", "mend it").as_dict()}


def test_a_file_that_the_system_does_not_give_is_invalid_input_and_no_fault_of_standard_output(
    capsys: pytest.CaptureFixture[str], fail_with: Callable[[BaseException], None]
) -> None:
    for error, cure in (
        (PermissionError(errno.EACCES, "Permission denied", "/a/file"), "its rights"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/file"), "free some space"),
    ):
        fail_with(error)
        assert run(["fail"]) == InvalidInput.exit_code
        told = capsys.readouterr()
        assert told.err.startswith(f"edge-ttp: /a/file cannot be used ({error.strerror}); ")
        assert cure in told.err
        assert run(["fail", "--json"]) == InvalidInput.exit_code
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "invalid_input"
    fail_with(FileNotFoundError(errno.ENOENT, "No such file or directory"))  # os.getcwd
    assert run(["fail"]) == InvalidInput.exit_code
    assert capsys.readouterr().err == "edge-ttp: the folder that this runs in is gone; go to another one (cd)\n"


def test_a_value_that_the_schema_refuses_is_one_line_with_name_and_value(
    capsys: pytest.CaptureFixture[str], fail_with: Callable[[BaseException], None]
) -> None:
    with pytest.raises(ValueError, match="deadline_s") as refused:
        Budget(deadline_s=-1)
    fail_with(refused.value)
    assert run(["fail"]) == InvalidInput.exit_code
    assert capsys.readouterr().err.startswith("edge-ttp: deadline_s=-1: input should be greater than 0; ")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interrupt_is_one_line_and_exit_code_130(
    capsys: pytest.CaptureFixture[str], fail_with: Callable[[BaseException], None], error: BaseException
) -> None:
    fail_with(error)
    assert run(["fail"]) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    assert run(["fail", "--json"]) == 130
    found = json.loads(capsys.readouterr().out)["error"]
    assert (found["code"], found["exit_code"]) == ("cancelled", 130)


@pytest.mark.parametrize("wrapper", [RuntimeError("Error calling __set_name__"), InvalidInput("not a model")])
@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_an_interrupt_that_came_out_as_another_error_is_still_an_interrupt(
    capsys: pytest.CaptureFixture[str],
    fail_with: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
    wrapper: Exception,
    link: str,
) -> None:
    error = type(wrapper)(*wrapper.args)
    setattr(error, link, KeyboardInterrupt())
    fail_with(error)
    assert run(["fail"]) == 130
    assert capsys.readouterr().err == "edge-ttp: interrupted\n"

    def stop() -> None:
        raise error

    monkeypatch.setattr(main, "main", stop)  # while the command line itself is still loading
    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "edge-ttp: interrupted\n"


def test_a_mistake_of_the_program_itself_is_not_hidden(fail_with: Callable[[BaseException], None]) -> None:
    fail_with(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run(["fail"])


def test_a_plugin_that_is_not_installed_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "entry_points", lambda **_: ())
    assert run(["export"]) == 9
    assert "pip install 'edge-ttp[export]'" in capsys.readouterr().err


def test_a_plugin_that_lacks_a_package_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def load(self) -> None:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(main, "entry_points", lambda **_: (Broken(),))
    assert run(["export", "--json"]) == 9
    assert "'torch'" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_ttp", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 1


def test_a_terminal_of_a_narrow_encoding_gets_escapes_instead_of_a_traceback() -> None:
    code = (
        "import sys, typer\n"
        "from edge_ttp.cli.main import COMMANDS, main\n"
        "from edge_ttp.cli.output import emit_json\n"
        "sys.modules['speak'] = sys; sys.app = app = typer.Typer()\n"
        "@app.command()\n"
        "def speak():\n"
        "    typer.echo('caf\\u00e9 \\u2615')\n"
        "    emit_json({'text': 'caf\\u00e9 \\u2615'})\n"
        "COMMANDS['speak'] = ('speak', 'Speaks.')\n"
        "main(['speak'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "latin-1", "PATH": ""}, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text, line = done.stdout.decode("latin-1").splitlines()
    assert text == "café \\u2615"
    assert json.loads(line) == {"text": "café ☕"}
