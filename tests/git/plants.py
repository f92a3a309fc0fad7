"""Settings that name programs: each plants one and returns the git command that runs it."""

from __future__ import annotations

from collections.abc import Callable

from tests.git.traps import Trap, alternate, attribute, both_sides, hook, plain, touch
from tests.gitkit import Repo, git

Plant = Callable[[Repo, Trap], list[str]]


def clean(repo: Repo, trap: Trap) -> list[str]:
    attribute(repo, "f filter=evil")
    repo.git("config", "filter.evil.clean", str(trap))
    touch(repo.path / "f")
    return ["status", "--porcelain"]


def required_clean(repo: Repo, trap: Trap) -> list[str]:
    command = clean(repo, trap)
    repo.git("config", "filter.evil.required", "true")
    return command


def clean_with_equals_sign(repo: Repo, trap: Trap) -> list[str]:
    attribute(repo, "f filter=e=vil.x")
    repo.git("config", "filter.e=vil.x.clean", str(trap))
    touch(repo.path / "f")
    return ["status", "--porcelain"]


def process(repo: Repo, trap: Trap) -> list[str]:
    attribute(repo, "f filter=evil")
    repo.git("config", "filter.evil.process", str(trap))
    touch(repo.path / "f")
    return ["status", "--porcelain"]


def smudge(repo: Repo, trap: Trap) -> list[str]:
    attribute(repo, "f filter=evil")
    repo.git("config", "filter.evil.smudge", str(trap))
    return ["cat-file", "--filters", "HEAD:f"]


def merge_driver(repo: Repo, trap: Trap) -> list[str]:
    both_sides(repo, "f merge=evil")
    repo.git("config", "merge.evil.driver", str(trap))
    return ["merge-tree", "--write-tree", "--name-only", "ours", "theirs"]


def default_merge_driver(repo: Repo, trap: Trap) -> list[str]:
    both_sides(repo, "# none")
    repo.git("config", "merge.evil.driver", f"{trap} %A %P")
    repo.git("config", "merge.default", "evil")
    return ["merge-tree", "--write-tree", "ours", "theirs"]


def diff_command(repo: Repo, trap: Trap) -> list[str]:
    attribute(repo, "f diff=evil")
    repo.git("config", "diff.evil.command", str(trap))
    return ["diff", "HEAD~2", "--", "f"]


def textconv(repo: Repo, trap: Trap) -> list[str]:
    attribute(repo, "f diff=evil")
    repo.git("config", "diff.evil.textconv", str(trap))
    return ["diff", "HEAD~2", "--", "f"]


def external_diff(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "diff.external", str(trap))
    return ["diff", "HEAD~1"]


def gpg(repo: Repo, trap: Trap) -> list[str]:
    signed = repo.git("cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    oid = repo.git("hash-object", "-t", "commit", "-w", "--stdin", input=signed + "\n")
    repo.git("config", "gpg.program", str(trap))
    repo.git("config", "log.showSignature", "true")
    return ["log", "-1", oid]


def gpg_verify(repo: Repo, trap: Trap) -> list[str]:
    oid = gpg(repo, trap)[-1]
    repo.git("config", "--unset", "log.showSignature")
    repo.git("config", "--unset", "gpg.program")
    repo.git("config", "gpg.openpgp.program", str(trap))
    return ["verify-commit", oid]


def alternate_refs(repo: Repo, trap: Trap) -> list[str]:
    alternate(repo, plain(Repo.init(repo.path.parent / "other")))
    repo.git("config", "core.alternateRefsCommand", str(trap))
    return ["rev-list", "--alternate-refs"]


def ssh(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "core.sshCommand", str(trap))
    return ["ls-remote", "ssh://localhost/x"]


def git_proxy(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "core.gitProxy", str(trap))
    return ["ls-remote", "git://localhost/x"]


def allowed_git_proxy(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "protocol.git.allow", "always")
    return git_proxy(repo, trap)


def upload_pack(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "remote.origin.url", str(repo.path))
    repo.git("config", "remote.origin.uploadpack", str(trap))
    return ["ls-remote", "origin"]


def missing_object(repo: Repo, trap: Trap) -> list[str]:
    upload_pack(repo, trap)
    repo.git("config", "remote.origin.promisor", "true")
    repo.git("config", "extensions.partialClone", "origin")
    repo.git("config", "core.repositoryFormatVersion", "1")
    return ["cat-file", "-p", "1" * 40]


def credentials(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "credential.helper", str(trap))
    return ["credential", "fill"]


def credentials_of_a_url(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "credential.https://localhost.helper", str(trap))
    return ["credential", "fill"]


def askpass(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "core.askPass", str(trap))
    return ["credential", "fill"]


def alias(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "alias.command-of-next-year", f"!{trap}")
    return ["command-of-next-year"]


def submodule_update(repo: Repo, trap: Trap) -> list[str]:
    lib = plain(Repo.init(repo.path.parent / "lib"))
    git(repo.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.path, "sub")
    repo.git("config", "submodule.sub.update", f"!{trap}")
    git(repo.path / "sub", "switch", "--quiet", "--detach", "HEAD~1")
    return ["submodule", "update"]


def fsmonitor(repo: Repo, trap: Trap) -> list[str]:
    repo.git("config", "core.fsmonitor", str(trap))
    return ["status", "--porcelain"]


def hook_of_refs(repo: Repo, trap: Trap) -> list[str]:
    hook(repo, "reference-transaction", trap)
    return ["update-ref", "refs/raccord/x", "HEAD"]


def hooks_elsewhere(repo: Repo, trap: Trap) -> list[str]:
    (repo.path / "hooks").mkdir()
    (repo.path / "hooks/reference-transaction").symlink_to(trap.program)
    repo.git("config", "core.hooksPath", "hooks")
    return ["update-ref", "refs/raccord/x", "HEAD"]


def hook_of_the_index(repo: Repo, trap: Trap) -> list[str]:
    hook(repo, "post-index-change", trap)
    touch(repo.path / "f")
    return ["update-index", "--refresh"]


def included(repo: Repo, trap: Trap) -> list[str]:
    command = clean(repo, trap)
    (repo.path / ".git/config").rename(repo.path / ".git/more")
    (repo.path / ".git/config").write_text("[include]\n\tpath = more\n")
    return command


PLANTS = [
    alias,
    allowed_git_proxy,
    alternate_refs,
    askpass,
    clean,
    clean_with_equals_sign,
    credentials,
    credentials_of_a_url,
    default_merge_driver,
    diff_command,
    external_diff,
    fsmonitor,
    git_proxy,
    gpg,
    gpg_verify,
    hook_of_refs,
    hook_of_the_index,
    hooks_elsewhere,
    included,
    merge_driver,
    missing_object,
    process,
    required_clean,
    smudge,
    ssh,
    submodule_update,
    textconv,
    upload_pack,
]
