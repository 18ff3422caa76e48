"""Reply parsers side by side: how many mails of test_mail_reply.py each splits rightly, how long on hostile texts.

    pip install mail-parser-reply email-reply-parser quotequail unquotemail email-reply-extractor
    python tests/exchange/reply_parsers.py

Those that are not installed are left out. A text that takes longer than LIMIT_S is given up.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent.parent))

from edge_ttp import __version__
from edge_ttp.exchange.mail_reply import written_and_quoted
from exchange.test_mail_reply import ATTRIBUTIONS, HOSTILE, REPLIES

LIMIT_S = 5
Parser = Callable[[str], str]


def _mail_parser_reply() -> Parser:
    module = import_module("mailparser_reply")
    languages = list(import_module("mailparser_reply.constants").MAIL_LANGUAGES)
    return lambda text: str(module.EmailReplyParser(languages=languages).read(text).replies[0].body)


def _email_reply_parser() -> Parser:
    return import_module("email_reply_parser").EmailReplyParser.parse_reply  # type: ignore[no-any-return]


def _quotequail() -> Parser:
    module = import_module("quotequail")

    def parse(text: str) -> str:
        found = module.unwrap(text)
        return str((found or {}).get("text_top") or ("" if found else text))

    return parse


def _unquotemail() -> Parser:
    module = import_module("unquotemail")

    def parse(text: str) -> str:
        mail = module.Unquote("", text)
        mail.parse()
        return str(mail.get_text())

    return parse


def _email_reply_extractor() -> Parser:
    module = import_module("email_reply_extractor")
    return lambda text: str(module.extract_new_text(text).text)


PARSERS: dict[str, Callable[[], Parser]] = {
    "mail-parser-reply": _mail_parser_reply,
    "email-reply-parser": _email_reply_parser,
    "quotequail": _quotequail,
    "unquotemail": _unquotemail,
    "email-reply-extractor": _email_reply_extractor,
    "edge-ttp": lambda: lambda text: written_and_quoted(text)[0],
}


class _TooLongError(BaseException):
    """Not an Exception: some parsers swallow those."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _TooLongError


def _split_rightly(parse: Parser, text: str, own: str) -> bool:
    signal.alarm(LIMIT_S)
    try:
        return parse(text).strip() == own
    except Exception:  # noqa: BLE001  # what other people's parsers raise
        return False
    except _TooLongError:
        return False
    finally:
        signal.alarm(0)


def _seconds(parse: Parser, text: str) -> float:
    begun = time.monotonic()
    _split_rightly(parse, text, "")
    return time.monotonic() - begun


def _version(name: str) -> str:
    return __version__ if name == "edge-ttp" else version(name)


def main() -> None:
    """Prints the table."""
    signal.signal(signal.SIGALRM, _stop)
    mails = [(body, own) for body, own, _ in REPLIES]
    mails += [(f"fine!\n\n{line}\n\n> question?", "fine!") for line in ATTRIBUTIONS]
    print("| parser | version | mails split rightly | hostile texts within the limit | slowest |")
    print("| --- | --- | --- | --- | --- |")
    for name, open_parser in PARSERS.items():
        try:
            parse = open_parser()
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        right = sum(_split_rightly(parse, body, own) for body, own in mails)
        took = [_seconds(parse, text) for text in HOSTILE]
        slowest = f"{max(took):.1f} s" if max(took) < LIMIT_S else f"over {LIMIT_S} s"
        within = sum(seconds < LIMIT_S for seconds in took)
        print(f"| {name} | {_version(name)} | {right} of {len(mails)} | {within} of {len(HOSTILE)} | {slowest} |")


if __name__ == "__main__":
    main()
