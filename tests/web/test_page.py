"""The page in a real browser: what its reader sees and does, and what pages of others get."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import pgkit, webkit
from tests.hubkit import clones

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
WAIT = 30_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    home = str(tmp_path_factory.mktemp("browser"))
    shared = os.environ["HOME"]
    environment: dict[str, str | float | bool] = {
        name: value.replace(shared, home) for name, value in os.environ.items()
    }
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"]
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=args, env=environment)
        yield made
        made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with webkit.site(tmp_path_factory.mktemp("site"), configuration='language = "fr"\n') as made:
        yield made


def problem(said) -> bool:
    """Whether the console tells of a fault; what was asked of the server and refused is none."""
    return said.type == "error" and "status of 422" not in said.text


@pytest.fixture
def page(browser, site) -> Iterator[Page]:
    context = browser.new_context()
    made = context.new_page()
    made.goto(site.server.link())
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda said: problems.append(said.text) if problem(said) else None)
    expect(made.locator("#link")).to_have_text("en direct", timeout=WAIT)
    yield made
    context.close()
    assert problems == []


def test_a_change_arrives_live_is_looked_at_and_is_reported_by_the_button(page, site):
    hostile = "<script>document.title='x'</script>"
    webkit.save(site.other / "AGENTS.md", f"# Agents\n{hostile}\n")
    row = page.locator("#pending tr", has_text="claude-1")
    expect(row).to_contain_text("modifié", timeout=WAIT)
    expect(row).to_contain_text("claude-code")
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text(f"+{hostile}", timeout=WAIT)
    page.get_by_role("button", name="Écrire le rapport maintenant").click()
    expect(page.locator("#said")).to_contain_text("sont dans le rapport", timeout=WAIT)
    expect(page.locator("#count")).to_have_text("0", timeout=WAIT)
    assert "AGENTS.md" in (site.main / "SYNC_STATUS.md").read_text()
    page.locator("#history summary").first.click()
    expect(page.locator("#history pre").first).to_contain_text("Consolidation")
    assert page.title() == "raccord"


def test_its_reader_chooses_a_language_that_stays(page):
    page.locator("#language").select_option("en")
    expect(page.get_by_role("button", name="Write the report now")).to_be_visible(timeout=WAIT)
    page.reload()
    expect(page.locator("#link")).to_have_text("live", timeout=WAIT)
    assert page.locator("html").get_attribute("lang") == "en"
    page.locator("#language").select_option("fr")
    expect(page.locator("#link")).to_have_text("en direct", timeout=WAIT)


def test_the_keyboard_is_enough_and_nothing_is_wider_than_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 800})
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("BUTTON", "INPUT", "SUMMARY", "SELECT")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_configuration_is_changed_by_keyboard_shown_as_a_run_and_taken_back(page, site):
    file = site.main / "raccord.toml"
    field = page.get_by_label("Un rapport à tant de changements")
    expect(field).to_have_value("5", timeout=WAIT)
    field.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    expect(page.locator("#settings-said")).to_contain_text("En vigueur. raccord undo", timeout=WAIT)
    assert file.read_text() == 'language = "fr"\n\n[coordination]\nthreshold = 9\n'
    expect(page.locator("#threshold")).to_contain_text("9", timeout=WAIT)
    run = page.locator("#runs > details").first
    run.locator("summary").first.click(timeout=WAIT)
    expect(run.locator("li li").first).to_contain_text("coordination.threshold: (default) → 9", timeout=WAIT)
    run.get_by_text("Son plan").click()
    expect(run.locator("details li li")).to_contain_text("(default) → 9", timeout=WAIT)
    run.get_by_role("button", name="Annuler").click()
    expect(run.get_by_text("coordination.threshold: 9 → (default)")).to_be_visible(timeout=WAIT)
    run.get_by_role("button", name="Oui, annuler").click()
    expect(field).to_have_value("5", timeout=WAIT)
    assert file.read_text() == 'language = "fr"\n'


def test_what_is_refused_and_a_broken_file_are_told_on_the_page(page, site):
    file = site.main / "raccord.toml"
    before = file.read_text()
    field = page.get_by_label("Un rapport après tant de minutes")
    field.fill("3000000000")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.locator("#settings-said")).to_contain_text(
        "is 3000000000; expected a whole number", timeout=WAIT
    )
    assert file.read_text() == before
    webkit.save(file, "[coordination]\nthreshold = -1\n")
    expect(page.locator("#broken")).to_contain_text("raccord.toml:2: coordination.threshold", timeout=WAIT)
    expect(page.locator("#service")).to_have_text("en difficulté", timeout=WAIT)
    expect(field).to_have_value("3000000000")
    webkit.save(file, before)
    expect(page.locator("#broken")).to_be_hidden(timeout=WAIT)


def test_who_has_no_link_is_told_how_to_get_one(browser, site):
    context = browser.new_context(locale="fr-FR")
    stranger = context.new_page()
    answer = stranger.goto(f"{site.server.url}sync-dashboard.html")
    assert answer is not None
    assert answer.status == 401
    expect(stranger.get_by_role("heading")).to_have_text("Cette page a besoin d\u2019un lien")
    assert stranger.locator("pre").inner_text() == "raccord serve --link"
    assert stranger.evaluate("getComputedStyle(document.querySelector('pre')).borderTopWidth") == "1px"
    context.close()


def test_other_machines_are_shown_with_what_they_do(browser, tmp_path, monkeypatch):
    server = pgkit.server()
    with server.lent() as name, contextlib.ExitStack() as stack:
        monkeypatch.setenv("RACCORD_HUB", server.url(name))
        said = 'language = "fr"\n[coordination]\nhub = "env:RACCORD_HUB"\nproject = "shop"\n'
        made = stack.enter_context(webkit.site(tmp_path / "here", configuration=said))
        (far,) = stack.enter_context(clones(tmp_path, server.url(name), more='project = "shop"'))
        far.start()
        page = stack.enter_context(contextlib.closing(browser.new_page()))
        page.goto(made.server.link())
        expect(page.locator("#hub")).to_have_text("reliée au hub", timeout=WAIT)
        expect(page.locator("#machines")).to_contain_text("celle-ci")
        webkit.save(far.path / "AGENTS.md", "# <b>far</b>\n")
        row = page.locator("#pending tr", has_text="m1")
        expect(row).to_contain_text("modifié", timeout=WAIT)
        assert far.run("snapshot").returncode == 0
        expect(page.locator("#machines")).to_contain_text("snapshot", timeout=2 * WAIT)
        if folder := os.environ.get("PYTEST_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/machines.png", full_page=True)


ATTACK = """<!doctype html><title>start</title><body>
<form id=f method=post action="%(url)sapi/sync/consolidate"></form><iframe id=i src="%(url)s"></iframe>
<script>
(async () => {
  const got = [];
  const tries = {
    read: () => fetch("%(url)sapi/sync/status", {credentials: "include"}),
    blind: () => fetch("%(url)sapi/sync/consolidate",
      {method: "POST", mode: "no-cors", credentials: "include"}),
    bypass: () => fetch("%(url)sapi/sync/status", {headers: {"x-dev-bypass": "1"}}),
  };
  for (const [name, one] of Object.entries(tries)) {
    try { const a = await one(); got.push(name + ":" + a.type); } catch { got.push(name + ":refused"); }
  }
  document.title = got.join(" ");
})();
</script>"""


@contextlib.contextmanager
def elsewhere(body: str) -> Iterator[str]:
    """A site of somebody else's, that has one page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_pages_of_others_get_nothing(browser, site, tmp_path):
    webkit.save(site.main / "AGENTS.md", "something pending\n")
    webkit.until(lambda: site.client.get("/api/sync/pending-changes").json()["count"])
    before = site.client.get("/api/sync/history").json()["count"]
    context = browser.new_context()
    own = context.new_page()
    own.goto(site.server.link())  # its reader has a session in this very browser
    expect(own.locator("#link")).to_have_text("en direct", timeout=WAIT)
    with elsewhere(ATTACK % {"url": site.server.url}) as url:
        page = context.new_page()
        page.goto(url)
        webkit.until(lambda: page.title() not in ("start", ""))
        assert page.title() == "read:refused blind:refused bypass:refused"
        page.wait_for_load_state()
        assert "raccord" not in page.frames[-1].content()
        with page.expect_navigation():
            page.evaluate("document.getElementById('f').submit()")
        assert "another site" in page.content()
    port = site.host.rpartition(":")[2]
    rebound = context.new_page().goto(f"http://evil.example:{port}/api/sync/status")
    assert rebound is not None
    assert rebound.status == 421
    assert site.client.get("/api/sync/history").json()["count"] == before
    context.close()


def test_an_open_server_says_so_and_still_keeps_others_out(browser, tmp_path):
    with webkit.site(tmp_path, dev=True) as open_site:
        page = browser.new_page()
        page.goto(f"{open_site.server.url}sync-dashboard.html")
        expect(page.locator("#link")).to_have_text("live", timeout=WAIT)
        expect(page.locator("#open")).to_contain_text("everybody on this machine")
        with elsewhere(ATTACK % {"url": open_site.server.url}) as url:
            page.goto(url)
            webkit.until(lambda: page.title() not in ("start", ""))
            assert page.title() == "read:refused blind:refused bypass:refused"
        assert open_site.client.get("/api/sync/history").json()["count"] == 0
        page.close()
