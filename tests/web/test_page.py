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

from raccord.workspace import Workspace
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


@pytest.fixture
def page(browser, site) -> Iterator[Page]:
    context = browser.new_context()
    made = context.new_page()
    made.goto(site.server.link())
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
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
    page.get_by_label("Langue").select_option("en")
    expect(page.get_by_role("button", name="Write the report now")).to_be_visible(timeout=WAIT)
    page.reload()
    expect(page.locator("#link")).to_have_text("live", timeout=WAIT)
    assert page.locator("html").get_attribute("lang") == "en"
    page.get_by_label("Language").select_option("fr")
    expect(page.locator("#link")).to_have_text("en direct", timeout=WAIT)


def test_the_keyboard_is_enough_and_nothing_is_wider_than_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 800})
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("BUTTON", "INPUT", "SUMMARY", "SELECT")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_run_is_shown_and_taken_back(page, site):
    with Workspace.open(site.main) as workspace:
        workspace.snapshot(message="mine")
    page.reload()
    run = page.locator("#runs details").first
    run.locator("summary").click(timeout=WAIT)
    expect(run.locator("li").first).to_be_visible(timeout=WAIT)


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
