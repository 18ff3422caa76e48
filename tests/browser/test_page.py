"""The page in a real browser: from an import to feedback, by keyboard, narrow and dark, in two languages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from server.serving import Running

pytestmark = pytest.mark.browser
PROMPT = "The printer on the first floor was repaired and works again."


def by_id(browser: webdriver.Chrome, name: str) -> WebElement:
    return browser.find_element(By.ID, name)


def until(browser: webdriver.Chrome, true: Callable[[], object], seconds: int = 120) -> None:
    WebDriverWait(browser, seconds, poll_frequency=0.1).until(lambda _: true())


def opened(browser: webdriver.Chrome, server: Running) -> None:
    browser.get(f"{server.url}/#token={server.token}")
    until(browser, lambda: server.announced["version"] in by_id(browser, "version").text)


def complaints(browser: webdriver.Chrome) -> list[str]:
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]


def write(browser: webdriver.Chrome, prompt: str = PROMPT) -> None:
    by_id(browser, "prompt").clear()
    by_id(browser, "prompt").send_keys(prompt)
    by_id(browser, "go").click()
    until(browser, lambda: by_id(browser, "result").is_displayed())


def test_from_an_import_to_feedback(browser: webdriver.Chrome, server: Running, tmp_path: Path) -> None:
    opened(browser, server)
    assert "token" not in browser.current_url  # it stays in no history of addresses
    by_id(browser, "tab-history").click()
    file = tmp_path / "mine.jsonl"
    file.write_text(
        "\n".join(json.dumps({"input": f"Lift {n} was repaired.", "output": f"lift {n} is alive!!"}) for n in range(4))
    )
    by_id(browser, "files").send_keys(str(file))
    until(browser, lambda: "4 texts taken in" in by_id(browser, "takes").text)
    by_id(browser, "words").send_keys("alive lift" + Keys.ENTER)
    until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#items li mark")) >= 4)

    by_id(browser, "tab-write").click()
    browser.find_element(By.TAG_NAME, "summary").click()
    by_id(browser, "count").send_keys("4")  # a busy machine would be given fewer
    write(browser, "The lift was repaired.")
    cards = browser.find_elements(By.CSS_SELECTOR, "#cards .card")
    assert len(cards) == 4
    assert all("expected" in card.text and "±" in card.text for card in cards)
    (chosen,) = browser.find_elements(By.CSS_SELECTOR, "#cards .card.chosen")
    assert by_id(browser, "final").get_property("value") == chosen.find_element(By.TAG_NAME, "p").text
    assert by_id(browser, "reason").text
    assert "alive" in by_id(browser, "recalled").text
    until(browser, lambda: by_id(browser, "plan-part").is_displayed())
    assert browser.find_element(By.CSS_SELECTOR, "#plan svg").get_attribute("aria-label")

    by_id(browser, "final").clear()
    by_id(browser, "final").send_keys("the lift lives!!")
    by_id(browser, "send").click()
    until(browser, lambda: by_id(browser, "judged").text)
    with server.client() as http:
        kept = http.get("/ttp/v1/history/search", params={"q": "lift lives"}).json()
        assert [one["item"]["output"] for one in kept] == ["the lift lives!!"]
        by_id(browser, "retract").click()
        until(browser, lambda: not by_id(browser, "retract").is_displayed())
        assert http.get("/ttp/v1/history/search", params={"q": "lift lives"}).json() == []
    assert complaints(browser) == []


def test_a_text_is_said_again_and_its_facts_are_shown(browser: webdriver.Chrome, server: Running) -> None:
    opened(browser, server)
    by_id(browser, "task-rewrite").click()
    assert "your way" in by_id(browser, "prompt-label").text
    by_id(browser, "as-notes").click()
    browser.find_element(By.TAG_NAME, "summary").click()
    until(browser, lambda: by_id(browser, "count").is_displayed())
    assert not by_id(browser, "context").is_displayed()
    by_id(browser, "count").send_keys("2")
    write(browser, "Please tell Eve that we meet at 9:30 on Friday.")
    # Two are drawn; one merged of them and one edited by rule may stand beside them.
    assert 2 <= len(browser.find_elements(By.CSS_SELECTOR, "#cards .card")) <= 4
    facts = by_id(browser, "facts")
    assert facts.is_displayed()
    shown = facts.text.startswith(("Every number", "Lost on the way: ", "Not in your text: "))
    assert shown, facts.text
    assert not by_id(browser, "plan-part").is_displayed()
    by_id(browser, "final").clear()
    by_id(browser, "final").send_keys("eve, friday 9:30, be there")
    by_id(browser, "send").click()
    until(browser, lambda: by_id(browser, "judged").text)
    with server.client() as http:
        kept = http.get("/ttp/v1/history/search", params={"q": "be there"}).json()
    assert [one["item"]["output"] for one in kept] == ["eve, friday 9:30, be there"]
    by_id(browser, "task-answer").click()
    assert by_id(browser, "context").is_displayed()
    assert not by_id(browser, "as-notes").is_displayed()
    assert complaints(browser) == []


def test_the_plan_is_a_picture_of_gain_and_time(browser: webdriver.Chrome, server: Running) -> None:
    opened(browser, server)
    browser.find_element(By.TAG_NAME, "summary").click()
    by_id(browser, "count").send_keys("4")
    write(browser)
    until(browser, lambda: by_id(browser, "plan-part").is_displayed())
    for one in ("gain", "time"):
        path = browser.find_element(By.CSS_SELECTOR, f"#plan path.{one}").get_attribute("d")
        assert path is not None
        assert path.count("L") >= 2
        assert "NaN" not in path
    labels = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#plan text")]
    assert {"1", "4", "16", "Candidates"} <= set(labels)
    assert any(one.endswith(" s") for one in labels)


def test_stop_ends_drawing_and_the_next_request_is_answered(browser: webdriver.Chrome, server: Running) -> None:
    opened(browser, server)
    browser.find_element(By.TAG_NAME, "summary").click()
    by_id(browser, "count").send_keys("200")
    by_id(browser, "prompt").send_keys(PROMPT)
    by_id(browser, "go").click()
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#cards .card"))
    by_id(browser, "stop").click()
    until(browser, lambda: by_id(browser, "status").text == "Stopped.")
    by_id(browser, "count").clear()
    write(browser)


def test_forgetting_shows_what_goes_and_asks_first(browser: webdriver.Chrome, server: Running) -> None:
    with server.client() as http:
        http.post("/ttp/v1/history", json={"input": "q", "output": "a secret of mine"})
    opened(browser, server)
    by_id(browser, "tab-history").click()
    by_id(browser, "words").send_keys("secret of mine" + Keys.ENTER)
    until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#items li button")) == 1)
    for answer, left in (("no", 1), ("yes", 0)):
        browser.find_element(By.CSS_SELECTOR, "#items li button").click()
        until(browser, lambda: by_id(browser, "sure").is_displayed())
        browser.find_element(By.CSS_SELECTOR, f'#sure button[value="{answer}"]').click()
        until(browser, lambda: not by_id(browser, "sure").is_displayed())
        with server.client() as http:
            until(
                browser,
                lambda http=http, left=left: (
                    len(http.get("/ttp/v1/history/search", params={"q": "secret of mine"}).json()) == left
                ),
            )


def test_the_whole_page_works_by_keyboard(browser: webdriver.Chrome, server: Running) -> None:
    opened(browser, server)
    by_id(browser, "prompt").send_keys(PROMPT, Keys.CONTROL, Keys.ENTER)
    until(browser, lambda: by_id(browser, "result").is_displayed())
    by_id(browser, "tab-write").send_keys(Keys.ARROW_RIGHT)
    assert by_id(browser, "history").is_displayed()
    assert browser.switch_to.active_element.get_attribute("id") == "tab-history"


def test_every_control_has_a_name_and_the_page_fits_a_phone(browser: webdriver.Chrome, server: Running) -> None:
    opened(browser, server)
    write(browser)
    for width in (390, 768, 1280, 3840):
        browser.set_window_size(width, 900)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, input, select, textarea, a')].filter((node) => "
        "!node.textContent.trim() && !node.getAttribute('aria-label') && !(node.labels && node.labels.length) "
        "&& !node.hidden).map((node) => node.outerHTML)"
    )
    assert unnamed == []


def test_dark_and_another_language(browser: webdriver.Chrome, server: Running) -> None:
    opened(browser, server)
    light = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != light
    by_id(browser, "language").send_keys("Deutsch")
    assert by_id(browser, "go").text == "Schreiben"
    assert browser.execute_script("return document.documentElement.lang") == "de"


def test_hostile_texts_stay_texts(browser: webdriver.Chrome, server: Running) -> None:
    attack = "<img src=x onerror=document.title='gone'><script>document.title='gone'</script>"
    with server.client() as http:
        http.post("/ttp/v1/history", json={"input": attack, "output": attack + " boundary"})
    opened(browser, server)
    by_id(browser, "tab-history").click()
    by_id(browser, "words").send_keys("boundary" + Keys.ENTER)
    until(browser, lambda: "onerror" in by_id(browser, "items").text)
    assert browser.title == "edge-ttp"


def test_without_the_token_the_page_asks_for_it(browser: webdriver.Chrome, server: Running) -> None:
    browser.get(server.url)
    until(browser, lambda: by_id(browser, "token").is_displayed())
    by_id(browser, "token").send_keys(server.token + Keys.ENTER)
    until(browser, lambda: server.announced["version"] in by_id(browser, "version").text)
    assert httpx.get(f"{server.url}/ttp/v1/history").status_code == 401
