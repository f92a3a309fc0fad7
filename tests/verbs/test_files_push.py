"""Objects pushed from one environment to another: every mode, undone, refused, on directories and buckets."""

from __future__ import annotations

import os

import pytest

from raccord.errors import CannotRun, ObjectsError, UsageError
from raccord.model.options_data import FilesPushOptions
from raccord.objects.local import Local
from raccord.objects.s3 import S3
from tests import s3kit
from tests.fileskit import Two, store

DEV = {
    "same.txt": b"same",
    "new.txt": b"new",
    "deep/er/é à ü.pdf": b"%PDF",
    "changed.txt": b"after",
    "empty": b"",
    "sp ace/a%20b+c#d.bin": bytes(range(256)) * 100,
}
PROD = {"same.txt": b"same", "changed.txt": b"befor", "own.txt": b"prod's own"}
KINDS = [("file", "file"), ("file", "s3")]
MORE = [pytest.param(kinds, marks=pytest.mark.long) for kinds in (("s3", "file"), ("s3", "s3"))]


@pytest.fixture(params=[*KINDS, *MORE], ids=lambda kinds: "-".join(kinds))
def two(tmp_path, request):
    try:
        made = Two(tmp_path, *request.param)
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")
    made.put("dev", DEV)
    made.put("prod", PROD)
    return made


@pytest.fixture
def local(tmp_path):
    made = Two(tmp_path)
    made.put("dev", DEV)
    made.put("prod", PROD)
    return made


def found_attributes(two: Two, key: str) -> dict[str, str]:
    at = store(two.keys["prod"])
    found = at.find(key)
    assert found is not None
    with at.read(key, found.etag) as reading:
        return dict(reading.attributes)


def why(report) -> str:
    return next((lane.finding.message for lane in report.lanes if lane.finding), "")


def test_insert_adds_and_tells_what_differs(two):
    assert two.numbers() == (4, 1, 1, 1)
    before, whole = two.objects("prod"), two.objects("prod", own=True)
    plan = two.plan()
    assert two.objects("prod", own=True) == whole  # looking writes nothing
    assert any(note.name == "files.differs" for lane in plan.stages[0].lanes for note in lane.notes)
    report = two.push()
    assert report.state == "done", report
    assert two.objects("prod") == DEV | PROD
    assert two.numbers() == (0, 1, 1 + 4, 1)
    assert two.push().state == "nothing"
    assert two.undo().state == "done" and two.objects("prod") == before


def test_upsert_overwrites_and_undo_brings_back_and_there_again(two):
    before = two.objects("prod")
    report = two.push(mode="upsert")
    assert report.state == "done", report
    after = two.objects("prod")
    assert after == PROD | DEV
    assert two.push(mode="upsert").state == "nothing"
    undone = two.undo()
    assert undone.state == "done" and two.objects("prod") == before, undone
    again = two.undo(undone.id)
    assert again.state == "done" and two.objects("prod") == after, again


def test_a_mirror_removes_where_it_may(two):
    before = two.objects("prod")
    with pytest.raises(UsageError):
        two.plan(mode="upsert", delete=True)
    assert two.push(mode="mirror").state == "done" and "own.txt" in two.objects("prod")
    report = two.push(mode="mirror", delete=True)
    assert report.state == "done" and two.objects("prod") == DEV, report
    assert two.numbers() == (0, 0, len(DEV), 0)
    assert two.undo().state == "done"
    assert two.undo().state == "done" and two.objects("prod") == before


def test_undo_refuses_what_has_changed_since(two):
    assert two.push(mode="upsert").state == "done"
    two.put("prod", {"changed.txt": b"somebody's"})
    after = two.objects("prod")
    refused = two.undo()
    assert "changed.txt" in why(refused), refused
    assert two.objects("prod") == after


@pytest.mark.long_but(1)
def test_large_ones_there_and_back(two):
    large = {"large": os.urandom((17 << 20) + 1), "own.txt": os.urandom(17 << 20)}
    two.put("prod", {"own.txt": large["own.txt"]})
    two.put("dev", {"large": large["large"]})
    report = two.push(mode="mirror", delete=True)
    assert report.state == "done" and two.objects("prod") == DEV | {"large": large["large"]}, report
    assert two.push(mode="mirror").state == "nothing"
    assert two.undo().state == "done" and two.objects("prod") == PROD | {"own.txt": large["own.txt"]}


def cut(two: Two, monkeypatch, after: int) -> None:
    """Lets the target answer so many writes of content, and no more."""
    left = [after]
    for kind in (Local, S3):

        def write(self, key, *more, whole=kind.write):
            left[0] -= not key.startswith(".raccord-")
            if left[0] < 0:
                raise ObjectsError("it can't be reached")
            return whole(self, key, *more)

        monkeypatch.setattr(kind, "write", write)
    report = two.push(mode="mirror", delete=True)
    assert report.state == "stopped" and "reached" in why(report), report
    monkeypatch.undo()


@pytest.mark.long_but(2)
@pytest.mark.parametrize("after", [0, 3])
def test_cut_off_it_goes_on(two, monkeypatch, after):
    cut(two, monkeypatch, after)
    with two.workspace as workspace:
        assert workspace.continue_().state == "done"
    assert two.objects("prod") == DEV
    assert two.undo().state == "done" and two.objects("prod") == PROD


def test_cut_off_it_goes_back(two, monkeypatch):
    cut(two, monkeypatch, 3)
    with two.workspace as workspace:
        assert workspace.abort().state == "aborted"
    assert two.objects("prod") == PROD


def test_an_empty_side_removes_nothing(two):
    two.take("dev", *DEV)
    plan = two.plan(mode="mirror", delete=True)
    (lane,) = plan.stages[0].lanes
    assert lane.held is not None and lane.held.name == "files.empty"
    assert two.push(mode="mirror", delete=True).state != "done" and two.objects("prod") == PROD


def test_only_what_the_set_names(two):
    two.configure(prefix="deep", only=["*.pdf", "!**/no.pdf"])
    two.put("dev", {"deep/no.pdf": b"", "deep/x.txt": b""})
    assert two.numbers() == (1, 0, 0, 0)
    assert two.push().state == "done"
    assert two.objects("prod") == PROD | {"deep/er/é à ü.pdf": b"%PDF"}


def test_what_somebody_else_changes_meanwhile_is_left_out_and_named(two, monkeypatch):
    from raccord.files import push

    fill = push.Push._fill

    def late(self, one, *more):
        if one.key == "changed.txt":
            two.put("prod", {"changed.txt": b"in between"})
        fill(self, one, *more)

    monkeypatch.setattr(push.Push, "_fill", late)
    report = two.push(mode="upsert")
    assert report.state == "partial" and "changed.txt" in why(report), report
    assert two.objects("prod") == PROD | DEV | {"changed.txt": b"in between"}
    monkeypatch.undo()
    assert two.undo().state == "done"
    assert two.objects("prod") == PROD | {"changed.txt": b"in between"}


def test_a_source_that_changes_while_it_is_read_goes_as_it_is_now(two, monkeypatch):
    from raccord.files import push

    fill = push.Push._fill

    def late(self, one, *more):
        if one.key == "new.txt":
            two.put("dev", {"new.txt": b"newer still"})
        fill(self, one, *more)

    monkeypatch.setattr(push.Push, "_fill", late)
    report = two.push()
    assert report.state == "done", report
    assert two.objects("prod")["new.txt"] == b"newer still"
    assert "new.txt" in "".join(step.note for step in report.lanes[0].steps)


def test_gc_empties_the_trash(two):
    assert two.push(mode="upsert").state == "done"
    assert any(key.startswith(".raccord-trash/2") for key in two.objects("prod", own=True))
    text = (two.repo.path / "raccord.toml").read_text()
    (two.repo.path / "raccord.toml").write_text(text + "[snapshots]\nkeep_days = 0\nkeep_last = 0\n")
    with two.workspace as workspace:
        workspace.gc()
    left = [key for key in two.objects("prod", own=True) if key.startswith(".raccord-trash/")]
    assert not [key for key in left if not key.endswith(".gitignore")]
    assert not list((two.repo.path / ".git/raccord/files").iterdir())


def test_status(two):
    two.push()
    with two.workspace as workspace:
        found = {one.environment: one for one in workspace.files_status().sets}
    assert found["prod"].objects == 7 and found["dev"].objects == 6
    assert found["prod"].push is not None and found["prod"].push.added == 4
    assert found["prod"].push.commit == two.repo.git("rev-parse", "HEAD").strip()


def test_links_and_pipes_are_named_and_never_followed(local):
    dev, secret = local.path / "dev", local.path / "secret"
    secret.mkdir()
    (secret / "x").write_text("out of here")
    os.symlink(secret, dev / "linked")
    os.symlink(secret / "x", dev / "link.txt")
    os.mkfifo(dev / "pipe")
    local.put("prod", {"linked/x": b"prod's"})
    report = local.push(mode="mirror", delete=True)
    assert report.state == "done", report
    assert local.objects("prod") == DEV | {"linked/x": b"prod's"}
    said = [note.message for note in report.lanes[0].notes if note.name == "files.left"]
    assert said and all(name in said[0] for name in ("linked", "link.txt", "pipe"))


def test_a_link_in_the_target_is_not_written_through(local):
    outside = local.path / "outside"
    outside.mkdir()
    os.symlink(outside, local.path / "prod" / "deep")
    report = local.push()
    assert report.state == "partial" and "deep" in why(report), report
    assert not list(outside.iterdir())


def test_a_name_that_is_a_directory_there(local):
    local.put("prod", {"new.txt/inside": b"x"})
    report = local.push()
    (told,) = [note.message for lane in report.lanes for note in lane.notes if note.name == "files.left"]
    assert report.state == "done" and "new.txt (a file and a directory" in told, report
    assert local.objects("prod")["new.txt/inside"] == b"x"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda two: two.keys["prod"].update(objects="file:///nowhere/at/all"), "no directory"),
        (lambda two: two.keys["prod"].update(two.keys["dev"]), "one place"),
        (lambda two: two.keys["prod"].pop("objects"), "no object store"),
    ],
)
def test_bad_places(local, change, said):
    change(local)
    local.configure()
    with pytest.raises(CannotRun, match=said):
        local.push()


def test_a_protected_environment_is_named(local):
    local.configure(protected=True)
    with pytest.raises(UsageError, match="protected"):
        local.push()
    # A set that there isn't is told before a name is asked for.
    with local.workspace as workspace, pytest.raises(UsageError, match="nope"):
        workspace.files_push(FilesPushOptions("nope", "prod"))
    assert local.push(yes_to="prod").state == "done"


def test_content_types_and_metadata_go_along(tmp_path):
    try:
        two = Two(tmp_path, "s3", "s3")
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")
    attributes = {"Content-Type": "application/x-own", "Cache-Control": "no-cache", "mine": "1 2"}
    two.put("dev", {"a": b"a"}, **attributes)
    two.put("prod", {"a": b"old"}, **{"Content-Type": "text/old"})
    assert two.push(mode="upsert").state == "done"
    assert found_attributes(two, "a") == attributes
    assert two.undo().state == "done"
    assert found_attributes(two, "a") == {"Content-Type": "text/old"}


def test_no_key_is_in_anything_that_is_said_or_kept(tmp_path):
    try:
        two = Two(tmp_path, "file", "s3")
    except s3kit.NoServer as error:
        pytest.skip(f"no S3 server: {error}")
    two.put("dev", DEV)
    said = [repr(two.plan()), repr(two.push()), repr(two.undo())]
    (two.path / "key").write_text("wr0ng-canary\n")
    with pytest.raises(CannotRun, match="refuses the key") as caught:
        two.push()
    said += [caught.value.message, caught.value.hint, repr(caught.value.data)]
    for secret in (s3kit.SECRET, "wr0ng-canary"):
        for path in (two.repo.path / ".git").rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
        assert not [one for one in said if secret in one]
