"""`raccord migrations lint` in a worktree: whose revisions, the baseline, languages, exit codes, squawk."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from raccord.cli.main import main
from raccord.errors import CannotRun, ConfigError, UsageError
from raccord.migrations.lint import baseline
from raccord.migrations.lint.baseline import Entry
from raccord.model.lint import LintReport
from raccord.model.options import LintOptions
from raccord.model.plan import Plan
from raccord.model.report import RunReport
from raccord.workspace import Workspace
from tests.gitkit import Repo

VERSIONS = "backend/migrations/versions"
INI = "[alembic]\nscript_location = migrations\nsqlalchemy.url = {url}\n"
POSTGRES = "postgresql://u:p@localhost/x"
ENV = """\
from alembic import context
from sqlalchemy import create_engine
url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
BASELINE = "raccord-lint.json"


def revision(
    id_: str, down: str | None, up: str = "op.drop_table('t')", back: str = "op.create_table('t')"
) -> str:
    return (
        f'"""do {id_}"""\nfrom alembic import op\nimport sqlalchemy as sa\nrevision = {id_!r}\n'
        f"down_revision = {down!r}\ndef upgrade():\n    {up}\ndef downgrade():\n    {back}\n"
    )


def path(id_: str) -> str:
    return f"{VERSIONS}/{id_}_x.py"


@pytest.fixture
def repo(tmp_path, monkeypatch) -> Repo:
    """A worktree on a branch with one revision of its own; main has one."""
    monkeypatch.setenv("PATH", without_squawk())
    main_ = Repo.init(tmp_path / "main")
    files = {"backend/alembic.ini": INI.format(url=POSTGRES), "backend/migrations/env.py": ENV}
    main_.commit({**files, path("r1"): revision("r1", None), ".gitignore": "__pycache__/\n"}, "start")
    one = main_.worktree("one", "one")
    one.commit({path("r2"): revision("r2", "r1")}, "mine")
    return one


def without_squawk() -> str:
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(one for one in folders if not (Path(one) / "squawk").exists())


def lint(repo: Repo, *words: str, **options) -> LintReport:
    return Workspace.open(repo.path).migration_lint(LintOptions(words, **options))


def said(report: LintReport) -> list[tuple[str, str, str]]:
    return [(one.revision, one.rule, one.state) for one in report.findings]


def test_by_default_it_is_about_what_the_base_lacks(repo):
    repo.write(path("r3"), revision("r3", "r2"))
    repo.write(path("r4"), revision("r4", "r3"))
    Path(repo.git("rev-parse", "--git-common-dir"), "info/exclude").write_text("*r4_x.py\n")
    report = lint(repo)
    assert said(report) == [("r2", "destructive", "new"), ("r3", "destructive", "new")]
    assert (report.revisions, report.failed) == (2, True)
    assert [one.revision for one in lint(repo, all=True).findings] == ["r1", "r2", "r3", "r4"]
    assert [one.revision for one in lint(repo, "r1").findings] == ["r1"]
    assert [one.revision for one in lint(repo, "backend", "head").findings] == ["r4"]
    assert [one.revision for one in lint(repo, base="one").findings] == ["r3"]


def test_what_the_base_has_by_now_or_changed_is_not_its_own(repo, tmp_path):
    base = Repo(tmp_path / "main", repo.clock)
    base.commit({path("r2"): revision("r2", "r1"), path("r1"): revision("r1", None) + "# edited\n"}, "merged")
    report = lint(repo)
    assert report.revisions == 0 and not report.failed
    assert [note.name for note in report.notes] == ["lint.nothing"] and report.notes[0].hint.endswith("--all")
    # An own edit of a revision that the base has too is this branch's doing.
    repo.write(path("r1"), revision("r1", None, "op.drop_table('u')"))
    assert [one.revision for one in lint(repo).findings] == ["r1"]


def test_nothing_is_run_to_be_looked_at(repo, tmp_path):
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')"
    repo.write(path("r3"), revision("r3", "r2") + f"{trap}\n")
    repo.write("backend/migrations/env.py", trap)
    assert lint(repo, all=True).revisions == 3
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "main/.git/raccord").exists()


def test_a_file_that_can_not_be_read_is_named_alone(repo):
    repo.write(path("r3"), "revision = 'r3'\ndown_revision = 'r2'\ndef upgrade(:\n")
    report = lint(repo)
    assert [(one.rule, one.line) for one in report.findings] == [("destructive", 7), ("unreadable", 3)]
    assert report.failed and report.findings[1].file.endswith("r3_x.py")


def test_locks_of_postgresql_are_no_matter_elsewhere(repo):
    repo.write(path("r2"), revision("r2", "r1", "op.create_index('i', 't', ['c'])"))
    assert [one.rule for one in lint(repo).findings] == ["lock-index"]
    for url, found in (("sqlite:///x.db", []), ("mysql://h/x", []), ("%%(unknown)s", ["lock-index"])):
        repo.write("backend/alembic.ini", INI.format(url=url))
        assert [one.rule for one in lint(repo).findings] == found


def test_databases_that_share_a_history_are_judged_together(repo):
    more = "[other]\nscript_location = migrations\nsqlalchemy.url = "
    repo.write(path("r2"), revision("r2", "r1", "op.create_index('i', 't', ['c'])"))
    for first, second, found in (("sqlite:///a", POSTGRES, 1), ("sqlite:///a", "sqlite:///b", 0)):
        repo.write("backend/alembic.ini", f"{INI.format(url=first)}{more}{second}\n")
        report = lint(repo)
        assert (report.revisions, len(report.findings)) == (1, found)


def test_the_configuration_turns_rules_off_or_down(repo):
    repo.write(
        path("r2"), revision("r2", "r1", "op.create_index('i', 't', ['c']); op.drop_table('u')", "pass")
    )
    repo.write(
        "raccord.toml", '[lint]\noff = ["lock-*"]\nnotes = ["destructive", "no-downgrade", "several-*"]\n'
    )
    report = lint(repo)
    assert {one.status for one in report.findings} == {"note"} and not report.failed
    assert "lock-index" not in {one.rule for one in report.findings}
    repo.write("raccord.toml", '[lint]\n\noff = ["locks"]\n')
    with pytest.raises(ConfigError, match=r"raccord\.toml:3: lint\.off: no rule is called 'locks'"):
        lint(repo)


def test_old_debt_counts_no_more_until_it_is_edited(repo):
    workspace = Workspace.open(repo.path)
    options = LintOptions(all=True)
    plan = workspace.migration_baseline(LintOptions(all=True, dry_run=True))
    assert isinstance(plan, Plan) and not (repo.path / BASELINE).exists()
    report = workspace.migration_baseline(options)
    assert isinstance(report, RunReport) and report.state == "done"
    assert repo.git("status", "--porcelain") == f"?? {BASELINE}"
    assert said(lint(repo, all=True)) == [("r1", "destructive", "old"), ("r2", "destructive", "old")]
    again = workspace.migration_baseline(options)
    assert isinstance(again, RunReport) and again.state == "nothing"
    # Edited: it counts anew, and the entry is named. Of r1 nothing is said, for nobody looked.
    repo.write(path("r2"), revision("r2", "r1") + "# edited\n")
    edited = lint(repo)
    assert said(edited) == [("r2", "destructive", "new")] and edited.next_command == ""
    assert edited.stale == ("the baseline has destructive of r2, which was edited since",)
    # No longer found; gone.
    repo.write(path("r2"), revision("r2", "r1", "op.execute('DELETE FROM t WHERE a')"))
    assert lint(repo).stale == ("the baseline has destructive of r2, which was edited since",)
    repo.write(path("r2"), None)
    repo.write(path("r1"), None)
    repo.write(path("r5"), revision("r5", None, "pass"))
    gone = lint(repo, all=True)
    assert [line.split(", ")[1] for line in gone.stale] == ["and there is no such revision"] * 2
    assert gone.next_command.endswith("--write-baseline")
    workspace.migration_baseline(LintOptions())
    assert baseline.parse((repo.path / BASELINE).read_bytes(), "x") == frozenset()
    undone = workspace.undo()
    assert isinstance(undone, RunReport) and undone.state == "done"
    assert len(baseline.parse((repo.path / BASELINE).read_bytes(), "x")) == 2


def test_what_was_not_looked_at_stays_in_the_baseline(repo):
    workspace = Workspace.open(repo.path)
    workspace.migration_baseline(LintOptions(all=True))
    repo.write(path("r3"), revision("r3", "r2"))
    workspace.migration_baseline(LintOptions(("r3",)))
    assert [one[2] for one in said(lint(repo, all=True))] == ["old"] * 3


def test_the_baseline_may_lie_elsewhere(repo):
    repo.write("raccord.toml", '[lint]\nbaseline = "tools/debt/lint.json"\n')
    workspace = Workspace.open(repo.path)
    workspace.migration_baseline()
    assert not lint(repo).failed and (repo.path / "tools/debt/lint.json").is_file()
    workspace.undo()
    assert not (repo.path / "tools").exists()


def test_without_a_commit_all_can_be_looked_at(tmp_path):
    repo = Repo.init(tmp_path / "new")
    repo.write("backend/alembic.ini", INI.format(url=POSTGRES))
    repo.write("backend/migrations/env.py", ENV)
    repo.write(path("r1"), revision("r1", None))
    with pytest.raises(UsageError) as caught:
        lint(repo)
    assert caught.value.hint == "raccord migrations lint --all, or --base BRANCH"
    assert lint(repo, all=True).revisions == 1


def test_a_baseline_is_a_line_for_each_entry():
    entries = [Entry("b", "x", "1"), Entry("a", "y", "2"), Entry("a", "x", "2")]
    text = baseline.text(entries)
    assert [line.split('"')[3] for line in text.decode().splitlines()[3:-2]] == ["a", "a", "b"]
    assert (
        baseline.parse(text, "f") == frozenset(entries)
        and baseline.parse(baseline.text([]), "f") == frozenset()
    )


@pytest.mark.long_but(4)
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"version": 2, "findings": []}', b'{"version": 1}',
     b'{"version": 1, "findings": [{}]}',
     b'{"version": 1, "findings": [{"revision": 1, "rule": "a", "digest": "b"}]}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_baseline_is_refused(data, repo):
    (repo.path / BASELINE).write_bytes(data)
    with pytest.raises(CannotRun, match="is no baseline"):
        lint(repo)


def test_it_speaks_the_configured_language(repo):
    assert lint(repo).findings[0].message == "the table t is dropped, and nothing keeps its rows"
    repo.write("raccord.toml", 'language = "fr"\n')
    report = lint(repo)
    assert report.language == "fr"
    assert report.findings[0].message == "la table t est supprimée, et rien ne conserve ses lignes"
    assert report.notes[0].message.startswith("squawk n\u2019est pas installé\u00a0: ")


def test_words_that_stand_for_nothing(repo):
    with pytest.raises(UsageError, match="no revision or branch is called 'zzzz'"):
        lint(repo, "zzzz")
    with pytest.raises(UsageError, match="no branch called nowhere"):
        lint(repo, base="nowhere")
    repo.git("rm", "-rq", "backend")
    with pytest.raises(CannotRun):
        lint(repo)


def test_on_the_command_line(repo, capsys):
    words = ["-C", str(repo.path), "migrations", "lint"]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert f"{path('r2')}:7 destructive the table t is dropped" in out and "1 revision: 1 finding\n" in out
    assert main([*words, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["findings"][0]["rule"]) == ("lint", "destructive")
    assert main([*words, "--write-baseline", "--dry-run"]) == 0
    assert "write raccord-lint.json: 1 findings more, 0 fewer" in capsys.readouterr().out
    assert main([*words, "--write-baseline"]) == 0
    assert main(words) == 0
    assert "1 in the baseline" in capsys.readouterr().out
    assert main([*words, "--all", "--base", "main"]) == 2
    assert main([*words, "--dry-run"]) == 2


def test_init_says_the_language_of_the_documents(repo):
    french = (
        "Le serveur est dans le dossier, et la base de données n'est pas sur le réseau. Pour la lancer : "
    )
    repo.write("LISEZMOI.md", french * 3)
    repo.write("docs/guide.md", french * 3)
    text = Workspace.open(repo.path).init()
    assert '\nlanguage = "fr"\n' in text and "Found: LISEZMOI.md." in text
    repo.write("LISEZMOI.md", "?")
    repo.write("docs/guide.md", "?")
    assert "\n# language = " in Workspace.open(repo.path).init()


# The one that was installed with these tests' tools, else another.
SQUAWK = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
squawk = pytest.mark.skipif(not shutil.which("squawk", path=SQUAWK), reason="squawk is not installed")


@pytest.fixture
def judged(repo, monkeypatch) -> Repo:
    """The same with squawk, and with the alembic of this very Python."""
    monkeypatch.setenv("PATH", SQUAWK)
    start = json.dumps([sys.executable, "-m", "alembic"])
    repo.write("raccord.toml", f"[migrations]\ncommand = {start}\n")
    return repo


@squawk
def test_squawk_adds_what_no_rule_of_ours_says(judged):
    up = "op.alter_column('t', 'a', new_column_name='b'); op.create_index('i', 't', ['b'])"
    judged.write(path("r2"), revision("r2", "r1", up))
    report = lint(judged)
    assert [(one.rule, one.line) for one in report.findings] == [
        ("squawk:renaming-column", 6),
        ("lock-index", 7),
    ]
    assert "ALTER TABLE t RENAME a TO b" in report.findings[0].message
    assert report.notes == ()
    assert not list(judged.path.rglob("__pycache__"))
    judged.write(
        "raccord.toml", judged.path.joinpath("raccord.toml").read_text() + '[lint]\noff = ["squawk:*"]\n'
    )
    assert [one.rule for one in lint(judged).findings] == ["lock-index"]


@pytest.mark.long
@squawk
def test_squawk_sees_what_only_running_it_tells(judged):
    judged.write(path("r2"), revision("r2", "r1", "getattr(op, 'create_' + 'index')('i', 't', ['b'])"))
    judged.write(path("r3"), revision("r3", "r2", "raise SystemExit('not offline')"))
    judged.write(path("r4"), revision("r4", "r3", "getattr(op, 'create_' + 'index')('j', 't', ['b'])"))
    report = lint(judged)
    assert [(one.revision, one.rule) for one in report.findings] == [
        ("r2", "squawk:require-concurrent-index-creation"),
        ("r4", "squawk:require-concurrent-index-creation"),
    ]


@pytest.mark.long
@squawk
def test_what_alembic_can_not_print_is_named(judged):
    up = "op.get_bind().execute(sa.text('UPDATE t SET a = 1')).fetchall()"
    judged.write(path("r2"), revision("r2", "r1", f"{up}; op.drop_index('i', 't')"))
    judged.write(path("r3"), revision("r3", "r2", "op.drop_index('j', 't')"))
    report = lint(judged)
    squawked = [(one.revision, one.rule) for one in report.findings if one.rule.startswith("squawk")]
    assert squawked == [("r3", "squawk:require-concurrent-index-deletion")]
    (note,) = [one for one in report.notes if one.name == "lint.squawk"]
    assert note.status == "unknown" and "squawk did not see r2: alembic can't print its SQL: " in note.message


def test_a_squawk_that_is_none_is_named(repo):
    start = json.dumps([sys.executable, "-m", "alembic"])
    program = repo.path / "squawk"

    def notes():
        repo.write("raccord.toml", f"[lint]\nsquawk = {str(program)!r}\n[migrations]\ncommand = {start}\n")
        return lint(repo).notes

    (note,) = notes()
    assert (note.message, note.hint) == (f"{program} is not there", "correct [lint] squawk in raccord.toml")
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    (note,) = notes()
    assert note.status == "unknown" and "squawk gave no answer that raccord can read" in note.message
