"""Hostile settings, hooks, attributes and environments: whatever could make git run a program."""

from __future__ import annotations

from collections.abc import Callable

from tests.git.plants import PLANTS, Plant
from tests.git.traps import attribute, hook, touch
from tests.gitkit import Repo
from tests.hostile.house import CASES, Case, House, case

# Their command is what connects: a fetch runs it, on the user's order.
TRANSPORT = {"upload_pack", "missing_object"}
STATUS = ["status", "--porcelain"]
HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout",
    "post-commit", "post-index-change", "post-merge", "post-receive", "post-rewrite", "post-update",
    "pre-applypatch", "pre-auto-gc", "pre-commit", "pre-merge-commit", "pre-push", "pre-rebase",
    "pre-receive", "prepare-commit-msg", "proc-receive", "push-to-checkout", "reference-transaction",
    "sendemail-validate", "update",
)  # fmt: skip


def _planted(plant: Plant) -> Callable[[House], None]:
    """A case of the tests of settings; that it is live is tested there (`tests/git/test_config.py`)."""

    def planted(house: House) -> None:
        plant(house.repo, house.trap)

    return planted


for _plant in PLANTS:
    _verbs = ("status", "snapshot", "restore" if _plant.__name__ in TRANSPORT else "sync")
    CASES[f"setting_{_plant.__name__}"] = Case(_planted(_plant), dict.fromkeys(_verbs, 0), long=True)


def attributes(house: House, line: str) -> None:
    """Sets attributes that hold in every worktree."""
    info = house.git / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text(line + "\n")


@case()
def every_hook(house: House) -> list[str]:
    for name in HOOKS:
        hook(house.repo, name, house.trap)
    return ["update-ref", "refs/x", "HEAD"]


@case()
def every_hook_in_the_tree(house: House) -> list[str]:
    folder = house.repo.path / "hooks"
    folder.mkdir()
    for name in HOOKS:
        (folder / name).symlink_to(house.trap.program)
    house.config(("core.hooksPath", "hooks"))
    return ["update-ref", "refs/x", "HEAD"]


@case(long=True)
def hooks_outside(house: House) -> list[str]:
    for name in HOOKS:
        (house.outside / name).symlink_to(house.trap.program)
    house.config(("core.hooksPath", str(house.outside)))
    return ["update-ref", "refs/x", "HEAD"]


@case(long=True)
def hooks_of_a_worktree(house: House) -> list[str]:
    house.config(("extensions.worktreeConfig", "true"))
    for name in HOOKS:
        (house.outside / name).symlink_to(house.trap.program)
    house.agent.git("config", "--worktree", "core.hooksPath", str(house.outside))
    return ["-C", str(house.agent.path), "update-ref", "refs/x", "HEAD"]


@case()
def hooks_of_the_remote(house: House) -> None:
    folder = house.folder / "remote.git/hooks"
    folder.mkdir()
    for name in HOOKS:
        (folder / name).symlink_to(house.trap.program)


@case(long=True)
def fsmonitor_of_one_worktree(house: House) -> list[str]:
    house.config(("extensions.worktreeConfig", "true"))
    house.agent.git("config", "--worktree", "core.fsmonitor", str(house.trap))
    return ["-C", str(house.agent.path), *STATUS]


@case()
def fsmonitor_with_an_untracked_cache(house: House) -> list[str]:
    house.repo.git("update-index", "--force-untracked-cache")
    house.config(("core.fsmonitor", str(house.trap)), ("core.fsmonitorHookVersion", "2"))
    return STATUS


@case()
def filter_of_attributes_that_nobody_committed(house: House) -> list[str]:
    attributes(house, "* filter=evil diff=evil merge=evil working-tree-encoding=UTF-16")
    for name in ("clean", "smudge", "process"):
        house.config((f"filter.evil.{name}", str(house.trap)))
    house.config(("filter.evil.required", "true"))
    return ["hash-object", "--path=f", "f"]


@case()
def filter_of_every_file_of_the_base(house: House) -> list[str]:
    attribute(house.repo, "* filter=evil")
    house.repo.git("push", "-q", "--force", "origin", "HEAD:refs/heads/main")
    house.config(("filter.evil.smudge", str(house.trap)), ("filter.evil.required", "true"))
    return ["cat-file", "--filters", "HEAD:f"]


@case(long=True)
def filter_of_one_worktree(house: House) -> list[str]:
    house.config(("extensions.worktreeConfig", "true"))
    attributes(house, "* filter=evil")
    house.agent.git("config", "--worktree", "filter.evil.clean", f"{house.trap} %f")
    return ["-C", str(house.agent.path), "hash-object", "--path=f", "f"]


@case(long=True)
def filter_of_large_files(house: House) -> list[str]:
    house.repo.write(".gitattributes", "* filter=lfs diff=lfs merge=lfs -text\n")
    for name in ("clean", "smudge", "process"):
        house.config((f"filter.lfs.{name}", f"{house.trap} {name} -- %f"))
    house.config(("filter.lfs.required", "true"))
    return ["hash-object", "--path=f", "f"]


@case()
def pagers_and_editors(house: House) -> None:
    for name in (
        "core.pager", "pager.status", "pager.log", "pager.for-each-ref", "core.editor", "sequence.editor",
        "diff.tool", "merge.tool", "interactive.diffFilter", "difftool.x.cmd", "mergetool.x.cmd",
        "trailer.x.command", "trailer.x.cmd", "tar.x.command", "web.browser", "browser.x.cmd", "man.x.cmd",
        "sendemail.sendmailCmd", "instaweb.httpd", "core.notesRef", "guitool.x.cmd",
    ):  # fmt: skip
        house.config((name, str(house.trap)))


@case()
def drivers_of_every_kind(house: House) -> list[str]:
    attributes(house, "* diff=evil merge=evil")
    house.config(
        ("diff.external", str(house.trap)),
        ("diff.evil.command", str(house.trap)),
        ("diff.evil.textconv", str(house.trap)),
        ("diff.evil.cachetextconv", "true"),
        ("merge.evil.driver", f"{house.trap} %O %A %B"),
        ("merge.default", "evil"),
        ("merge.evil.recursive", "evil"),
        ("diff.submodule", "diff"),
        ("diff.orderFile", str(house.outside / "letter.txt")),
    )
    return ["diff", "HEAD~1"]


@case("status", "snapshot", "restore", "log", "sync-text")
def aliases_of_every_command(house: House) -> None:
    for name in (
        "cat-file", "config", "diff-tree", "fetch", "for-each-ref", "ls-files", "ls-remote", "merge-base",
        "merge-tree", "rev-list", "rev-parse", "status", "update-ref", "var", "worktree",
    ):  # fmt: skip
        house.config((f"alias.{name}", f"!{house.trap}"))


@case()
def connections_of_another_kind(house: House) -> None:
    """None of these serves the remote that there is."""
    for key in ("core.sshCommand", "core.gitProxy", "core.askPass", "credential.helper", "ssh.variant"):
        house.config((key, str(house.trap)))
    house.config(
        ("remote.other.url", "ssh://localhost/x"),
        ("remote.other.uploadpack", str(house.trap)),
        ("remote.other.receivepack", str(house.trap)),
        ("remote.other.proxy", "http://localhost:1"),
        ("core.alternateRefsCommand", str(house.trap)),
        ("uploadpack.packObjectsHook", str(house.trap)),
    )


@case("status", "snapshot", "restore", "log")
def connections_that_a_look_would_open(house: House) -> None:
    house.config(
        ("remote.origin.uploadpack", str(house.trap)),
        ("remote.origin.receivepack", str(house.trap)),
        ("remote.origin.vcs", "evil"),
        ("remote.origin.promisor", "true"),
        ("core.sshCommand", str(house.trap)),
    )


@case("status", "sync", "sync-text", "snapshot", sync=6, sync_text=6, says="would run a program")
def an_ext_remote(house: House) -> list[str]:
    house.config(("protocol.ext.allow", "always"), ("protocol.allow", "always"))
    house.repo.git("remote", "set-url", "origin", f"ext::{house.trap} %S foo")
    return ["ls-remote", "origin"]


@case("status", "sync", "sync-text", sync=6, sync_text=6, says="may not use|would run a program")
def an_ext_remote_in_other_words(house: House) -> list[str]:
    house.config(
        ("protocol.ext.allow", "always"),
        (f"url.ext::{house.trap} %S .insteadOf", "https://example.invalid/"),
        (f"url.ext::{house.trap} %S .pushInsteadOf", "https://example.invalid/"),
    )
    house.repo.git("remote", "set-url", "origin", "https://example.invalid/x")
    return ["ls-remote", "origin"]


@case("status", "sync", sync=6, says="may not use|would run a program")
def an_ext_remote_by_its_kind(house: House) -> list[str]:
    house.config(("protocol.ext.allow", "always"), ("remote.origin.vcs", "ext"))
    house.repo.git("remote", "set-url", "origin", f"{house.trap} foo")
    return ["ls-remote", "origin"]


@case("status", "sync", sync=6, long=True)
def an_fd_remote(house: House) -> None:
    house.repo.git("remote", "set-url", "origin", "fd::17")


@case("status", "sync", sync=6)
def a_remote_that_looks_like_an_option(house: House) -> None:
    house.repo.git("config", "remote.origin.url", f"--upload-pack={house.trap}")


@case("status", "sync", "snapshot", sync=6, says="strange hostname|no repository|blocked")
def a_host_that_looks_like_an_option(house: House) -> None:
    house.repo.git("config", "remote.origin.url", f"ssh://-oProxyCommand={house.trap}/x")


@case("status", "sync")
def a_remote_named_like_an_option(house: House) -> None:
    house.repo.git("remote", "remove", "origin")
    name = f"--upload-pack={house.trap}"
    house.config((f"remote.{name}.url", f"{house.folder}/remote.git"))


@case("status", "sync", sync=0, long=True)
def a_remote_that_fetches_over_branches(house: House) -> None:
    house.repo.git("config", "--replace-all", "remote.origin.fetch", "+refs/*:refs/*")
    house.config(("remote.origin.mirror", "true"), ("remote.origin.tagOpt", "--tags"))


@case("status", "sync", "snapshot")
def a_signer(house: House) -> list[str]:
    """Without commit.gpgSign: with it, the user's order is to sign what is replayed."""
    house.config(
        ("gpg.program", str(house.trap)),
        ("gpg.ssh.program", str(house.trap)),
        ("gpg.ssh.defaultKeyCommand", str(house.trap)),
        ("gpg.format", "ssh"),
        ("push.gpgSign", "true"),
        ("tag.gpgSign", "true"),
        ("log.showSignature", "true"),
        ("merge.verifySignatures", "true"),
    )
    return ["commit-tree", "-S", "-m", "x", "HEAD^{tree}"]


@case("status", "snapshot", "restore", "log")
def a_signer_of_every_commit(house: House) -> list[str]:
    house.config(("commit.gpgSign", "true"), ("gpg.program", str(house.trap)))
    return ["commit-tree", "-S", "-m", "x", "HEAD^{tree}"]


@case()
def included_from_outside(house: House) -> list[str]:
    (house.outside / "config").write_text(
        f"[core]\n\tfsmonitor = {house.trap}\n\thooksPath = {house.outside}\n"
    )
    (house.outside / "reference-transaction").symlink_to(house.trap.program)
    house.config(("include.path", str(house.outside / "config")))
    return STATUS


@case()
def included_under_conditions(house: House) -> list[str]:
    (house.outside / "config").write_text(
        f'[core]\n\tfsmonitor = {house.trap}\n[filter "e"]\n\tclean = {house.trap}\n'
    )
    attributes(house, "* filter=e")
    for condition in ("gitdir:**", "gitdir/i:**/AGENT", "onbranch:agent", "hasconfig:remote.*.url:**"):
        house.config((f"includeIf.{condition}.path", str(house.outside / "config")))
    return STATUS


@case("status", "sync", every=6, long=True)
def included_in_a_circle(house: House) -> None:
    house.config(("include.path", "config"))


@case(long=True)
def included_from_nowhere(house: House) -> None:
    house.config(("include.path", "/nonexistent"), ("include.path", "../../../../../../etc"))


@case("status", "sync", "snapshot", "log", every=6, says="does not lead back")
def files_of_other_people(house: House) -> None:
    house.config(("core.worktree", str(house.outside)))


@case(long=True)
def a_very_long_value(house: House) -> None:
    with (house.git / "config").open("a") as file:
        file.write(f"[x]\n\ty = {'v' * 500_000}\n[{'s' * 3000}]\n\tk = 1\n")


@case("status", "sync", "snapshot", "log", every=6)
def a_zero_byte_in_the_settings(house: House) -> None:
    with (house.git / "config").open("ab") as file:
        file.write(b"[x]\n\ty = a\0b\n\x00\xff\xfe\x1b[31m\n")


@case(long=True)
def escape_sequences_in_the_settings(house: House) -> None:
    with (house.git / "config").open("ab") as file:
        file.write(b'[user]\n\tname = "\x1b[31mred\x07"\n[branch "\x1b[2J"]\n\tremote = \x1b[2J\n')


@case("status", "sync", "snapshot", every=6, long=True)
def settings_that_git_refuses(house: House) -> None:
    with (house.git / "config").open("ab") as file:
        file.write(b"[core]\n\tbare = \x1b]0;x\x07\n\trepositoryFormatVersion = \x1b[31mnone\n")


@case("status", "sync", long=True)
def an_editor_of_identity(house: House) -> None:
    house.config(("user.useConfigOnly", "true"), ("user.email", "x\x1b[31m@example.invalid"))


@case()
def submodules_that_run(house: House) -> None:
    house.repo.write(
        ".gitmodules",
        f'[submodule "a"]\n\tpath = a\n\turl = ext::{house.trap}\n\tupdate = !{house.trap}\n'
        f'[submodule "b"]\n\tpath = -u\n\turl = -u./payload\n'
        f'[submodule "../../outside"]\n\tpath = ../outside\n\turl = ../outside\n\tignore = none\n'
        f'[submodule "c"]\n\tpath = "\\u001b[31m"\n\turl = x\n',
    )
    (house.repo.path / "a").mkdir()
    house.repo.git("update-index", "--add", "--cacheinfo", f"160000,{house.repo.oid()},a")
    house.config(
        ("submodule.a.update", f"!{house.trap}"),
        ("submodule.a.url", f"ext::{house.trap}"),
        ("submodule.recurse", "true"),
        ("fetch.recurseSubmodules", "true"),
        ("diff.ignoreSubmodules", "none"),
        ("status.submoduleSummary", "true"),
    )


@case("status-json", "sync", "snapshot", "restore", "log")
def a_submodule_that_is_armed(house: House) -> list[str]:
    sub = Repo.init(house.repo.path / "sub")
    sub.commit({"f": "sub\n"})
    house.repo.git("-c", "advice.addEmbeddedRepo=false", "add", "sub")
    house.repo.commit(message="sub")
    sub.git("config", "core.fsmonitor", str(house.trap))
    sub.git("config", "filter.evil.clean", str(house.trap))
    sub.write(".gitattributes", "* filter=evil\n")
    for name in HOOKS:
        hook(sub, name, house.trap)
    touch(sub.path / "f")
    return ["-C", "sub", *STATUS]


@case("status", "sync", "snapshot")
def a_submodule_that_lies_elsewhere(house: House) -> list[str]:
    other = Repo.init(house.outside / "other")
    other.commit({"f": "sub\n"})
    other.git("config", "core.fsmonitor", str(house.trap))
    sub = house.repo.path / "sub"
    sub.mkdir()
    (sub / ".git").write_text(f"gitdir: {other.path}/.git\n")
    house.repo.git("update-index", "--add", "--cacheinfo", f"160000,{other.oid()},sub")
    return ["-C", "sub", *STATUS]
