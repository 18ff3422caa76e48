"""A hostile web page in a real browser can neither read nor write: other origins, forms, rebinding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from server.serving import Running

pytestmark = pytest.mark.browser

_ATTEMPTS = """
const [url, done] = arguments;
const body = JSON.stringify({ output: "written by a hostile page" });
const json = { "content-type": "application/json" };
const tries = [
  fetch(url + "/v1/models"),
  fetch(url + "/ttp/v1/history"),
  fetch(url + "/ttp/v1/history", { method: "POST", body }),
  fetch(url + "/ttp/v1/history", { method: "POST", body, headers: json }),
  fetch(url + "/ttp/v1/history", { method: "POST", body, mode: "no-cors" }),
  fetch(url + "/v1/chat/completions", { method: "POST", mode: "no-cors",
        body: JSON.stringify({ model: "smollm2-135m-instruct", messages: [{ role: "user", content: "hi" }] }) }),
  fetch(url + "/", { mode: "no-cors" }),
];
Promise.all(tries.map((one) => one.then((got) => [got.type, got.status], (error) => ["error", 0]))).then(done);
"""


@pytest.fixture
def hostile() -> Iterator[str]:
    """A page at another origin of the same machine."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>hostile</title>")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    site = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{site.server_port}"
    site.shutdown()


def test_a_page_of_another_origin_reads_nothing_and_writes_nothing(
    browser: webdriver.Chrome, server: Running, hostile: str
) -> None:
    browser.get(hostile)
    outcome = browser.execute_async_script(_ATTEMPTS, server.url)
    assert all(kind in ("error", "opaque") for kind, _ in outcome)
    with server.client() as http:
        assert http.get("/ttp/v1/history/search", params={"q": "hostile page"}).json() == []


def test_a_form_of_another_site_is_refused(browser: webdriver.Chrome, server: Running, hostile: str) -> None:
    browser.get(hostile)
    browser.execute_script(
        "const form = document.createElement('form'); form.method = 'POST'; form.enctype = 'text/plain';"
        "form.action = arguments[0] + '/ttp/v1/history'; const field = document.createElement('input');"
        'field.name = \'{"output": "written by a form", "kind": "\'; field.value = \'x"}\';'
        "form.append(field); document.body.append(form); form.submit();",
        server.url,
    )
    with server.client() as http:
        assert http.get("/ttp/v1/history/search", params={"q": "written form"}).json() == []


def test_a_file_may_lead_to_the_page_and_no_page_may_hold_it_in_a_frame(
    browser: webdriver.Chrome, server: Running, hostile: str, tmp_path: Path
) -> None:
    way = tmp_path / "open.html"  # as `edge-ttp app` makes one where there is no Qt
    way.write_text(f'<meta http-equiv="refresh" content="0;url={server.url}/#token={server.token}">')
    browser.get(way.as_uri())
    WebDriverWait(browser, 60).until(lambda _: server.announced["version"] in browser.page_source)
    assert browser.find_element(By.ID, "prompt").is_displayed()
    browser.get(hostile)
    browser.execute_script(
        "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame);",
        server.url,
    )
    browser.switch_to.frame(0)
    assert browser.find_elements(By.ID, "prompt") == []


def test_a_name_that_was_bound_to_this_machine_is_refused(server: Running) -> None:
    port = server.url.rsplit(":", 1)[1]
    answer = httpx.get(f"{server.url}/v1/models", headers={"host": f"rebound.example:{port}"})
    assert answer.status_code == 403
    assert "data" not in answer.json()
