"""HTML mails in words."""

# ruff: noqa: E501
from __future__ import annotations

import pytest

from edge_ttp.exchange.mail_html import MAX_QUOTES, text_of_html
from edge_ttp.exchange.mail_reply import written_and_quoted

GMAIL = (
    '<div dir="ltr">html only, ok by me!<div><br></div><div>j.</div></div><br><div class="gmail_quote">'
    '<div dir="ltr" class="gmail_attr">On Mon, Jan 6, 2025 at 8:55 AM Ann &lt;<a href="mailto:a@b.org">a@b.org</a>&gt; '
    'wrote:<br></div><blockquote class="gmail_quote"><div>is it ok?</div></blockquote></div>'
)
OUTLOOK = (
    '<div class="WordSection1"><p class="MsoNormal">passt, danke.<o:p></o:p></p><p class="MsoNormal"><o:p>&nbsp;</o:p></p>'
    '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal"><b>Von:</b> '
    "Bernd &lt;b@x.com&gt; <br><b>Gesendet:</b> Montag, 6. Januar 2025 08:55<br><b>An:</b> Jo<br><b>Betreff:</b> Termin</p>"
    '</div><p class="MsoNormal">Passt dir Montag?</p></div>'
)
WEB = (
    '<div>va bene!</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>Da:</b> Gino<br>'
    "<b>Inviato:</b> lunedì<br><b>A:</b> Jo<br><b>Oggetto:</b> ok?</div><div>va bene per te?</div>"
)
INTERLEAVED = (
    '<div>hi</div><div class="gmail_quote"><div>On 6 Jan 2025 at 8:55, A &lt;a@b.c&gt; wrote:</div>'
    "<blockquote>one?</blockquote><div>yes</div><blockquote>two?</blockquote><div>no</div></div>"
)
UNKNOWN = '<div>ok</div><div id="divRplyFwdMsg"><b>Xyz:</b> Q</div><div>question?</div>'


@pytest.mark.parametrize(
    ("html", "own", "quoted"),
    [
        (GMAIL, "html only, ok by me!\n\nj.", "is it ok?"),
        (OUTLOOK, "passt, danke.", "Passt dir Montag?"),
        (WEB, "va bene!", "va bene per te?"),
        (INTERLEAVED, "hi\nyes\nno", "one?\ntwo?"),
        (UNKNOWN, "ok", "Xyz: Q\nquestion?"),
        ("<p>ok</p><blockquote type=cite><p>q</p><blockquote>older</blockquote></blockquote>", "ok", "q"),
        ('<p>ok</p><div class="gmail_signature">Jo, ACME</div>', "ok", ""),
        ('<p>ok</p><blockquote style="margin:0 0 0 40px;border:none;padding:0px">mine</blockquote>', "ok mine", ""),
        ('<p>ok</p><div style="display:none">preheader</div>', "ok", ""),
    ],
)
def test_a_reply_is_told_from_what_it_quotes(html: str, own: str, quoted: str) -> None:
    found = written_and_quoted(text_of_html(html))
    assert (" ".join(found[0].split()), " ".join(found[1].split())) == (" ".join(own.split()), " ".join(quoted.split()))


def test_hidden_and_broken_markup_gives_no_text() -> None:
    assert text_of_html("<p>a<p>b<div>c &amp; d</div><script>x</script><style>y") == "a\n\nb\nc & d"
    assert text_of_html("a<br>b<br><br>c") == "a\nb\n\nc"
    assert text_of_html("<pre>x\n  y</pre>") == "x\n  y"
    assert text_of_html("<ul><li>one<li>two</ul>") == "one\ntwo"
    assert (
        text_of_html("<p class=MsoNormal>Hi,</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>ok</p>") == "Hi,\n\nok"
    )
    assert text_of_html("") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "html",
    ["<a b=c " * 60_000, "<!--" * 100_000, "<!-- -" * 100_000, "<blockquote>" * 80_000, "<blockquote><p>" * 50_000 + "x",
     "<b><i>" * 80_000 + "</b>" * 80_000, "<" * 500_000, "&" * 500_000, "&#" * 200_000, "<table><tr><td>" * 30_000,
     '<a href="' + "x" * 900_000, "<![CDATA[" * 100_000, "<![x[" * 100_000, "<script>" + "</scrip" * 100_000,
     "<p>" * 200_000, "<svg><title>" * 50_000, "</p>" * 200_000, "<br>" * 300_000, "<pre>" + "\n" * 300_000,
     "<a " + " ".join(f"a{at}=1" for at in range(100_000)) + ">", "<div class=gmail_quote>" * 30_000 + "x"],
    ids=lambda html: html[:12],
)  # fmt: skip
def test_hostile_pages_are_read_in_linear_time(html: str) -> None:
    text = text_of_html(html)
    assert len(text) <= len(html) + 100
    assert ">" * (MAX_QUOTES + 1) not in text or ">" * 10 in html
