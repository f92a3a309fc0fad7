"""Hostile environments: variables by which a parent makes git look elsewhere, write, or run a program."""

from __future__ import annotations

from tests.git.traps import hook, plain
from tests.gitkit import Repo
from tests.hostile.house import House, case

STATUS = ["status", "--porcelain"]


def other(house: House) -> Repo:
    """Somebody else's repository, that must neither be read nor written."""
    repo = plain(Repo.init(house.outside / "other"))
    repo.git("config", "core.fsmonitor", str(house.trap))
    hook(repo, "reference-transaction", house.trap)
    return repo


@case()
def variables_of_a_hook(house: House) -> list[str]:
    """As a hook of another repository hands them down."""
    git = f"{other(house).path}/.git"
    house.env |= {
        "GIT_DIR": git,
        "GIT_INDEX_FILE": f"{git}/index",
        "GIT_WORK_TREE": str(house.outside / "other"),
        "GIT_COMMON_DIR": git,
        "GIT_PREFIX": "sub/",
        "GIT_NAMESPACE": "x",
        "GIT_QUARANTINE_PATH": f"{git}/objects",
    }
    return STATUS


@case(long=True)
def variables_of_objects(house: House) -> None:
    git = f"{other(house).path}/.git"
    house.env |= {
        "GIT_OBJECT_DIRECTORY": f"{git}/objects",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": f"{git}/objects",
        "GIT_SHALLOW_FILE": f"{git}/HEAD",
        "GIT_GRAFT_FILE": f"{git}/HEAD",
        "GIT_REPLACE_REF_BASE": "refs/heads/",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_DEFAULT_HASH": "sha256",
    }


@case()
def variables_of_programs(house: House) -> list[str]:
    names = "EXTERNAL_DIFF PAGER EDITOR SEQUENCE_EDITOR PROXY_COMMAND MAN_VIEWER TEMPLATE_DIR"
    house.env |= {f"GIT_{name}": str(house.trap) for name in names.split()}
    house.env |= dict.fromkeys(("PAGER", "EDITOR", "VISUAL", "BROWSER", "SHELL"), str(house.trap))
    return ["diff", "HEAD~1"]


@case(long=True)
def variables_that_ask(house: House) -> None:
    """Nobody asks anything here, so that nothing is run to ask."""
    house.env |= dict.fromkeys(("GIT_ASKPASS", "SSH_ASKPASS", "SUDO_ASKPASS"), str(house.trap))
    house.env |= {"SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0", "GIT_TERMINAL_PROMPT": "1"}


@case()
def variables_of_settings(house: House) -> list[str]:
    house.env |= {
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={house.trap}' 'diff.external={house.trap}'",
        "GIT_CONFIG": str(house.outside / "letter.txt"),
        "GIT_ATTR_SOURCE": "HEAD",
    }
    return STATUS


@case()
def variables_of_settings_that_are_counted(house: House) -> list[str]:
    settings = {
        "core.fsmonitor": str(house.trap),
        "core.hooksPath": str(house.outside),
        "core.pager": str(house.trap),
    }
    (house.outside / "reference-transaction").symlink_to(house.trap.program)
    house.env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        house.env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return STATUS


@case("status", "sync", every=6)
def variables_of_settings_that_are_miscounted(house: House) -> None:
    house.env |= {"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "\x1b[31m"}


@case()
def variables_that_write(house: House) -> None:
    """Each makes git write a log beside what it does."""
    names = "TRACE TRACE_SETUP TRACE_PACKET TRACE_PACKFILE TRACE2 TRACE2_EVENT TRACE2_PERF"
    house.env |= {f"GIT_{name}": str(house.outside / "log") for name in names.split()}
    house.env |= {"GIT_REFLOG_ACTION": "\x1b[31mred", "GIT_FLUSH": "1"}


@case(long=True)
def variables_of_identity(house: House) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        house.env |= {
            f"GIT_{who}_NAME": "x\ngpgsig evil\n<\x1b[31m",
            f"GIT_{who}_EMAIL": "a>\nparent 1",
            f"GIT_{who}_DATE": "2001-01-01T00:00:00 +9999",
        }


@case(long=True)
def variables_of_languages(house: House) -> None:
    """Words of git that raccord reads stay English."""
    house.env |= {"LANGUAGE": "fr:de", "LC_ALL": "fr_FR.UTF-8", "GIT_TEXTDOMAINDIR": str(house.outside)}


@case("status", "sync", long=True)
def variables_that_restrict(house: House) -> None:
    house.env |= {
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_ICASE_PATHSPECS": "1",
        "GIT_CEILING_DIRECTORIES": str(house.folder),
        "GIT_DISCOVERY_ACROSS_FILESYSTEM": "0",
        "GIT_OPTIONAL_LOCKS": "1",
        "GIT_DIFF_OPTS": "--output=" + str(house.outside / "diff"),
        "GIT_TEST_FSMONITOR": str(house.trap),
    }


@case("status", "sync", sync=6)
def a_protocol_that_is_not_allowed(house: House) -> None:
    house.env["GIT_ALLOW_PROTOCOL"] = "https:ext"


@case("status", "sync", "snapshot", "log", long=True)
def no_home(house: House) -> None:
    house.env |= {
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "USER": "",
        "LOGNAME": "\x1b[31m",
    }


@case(long=True)
def a_terminal_of_an_unknown_kind(house: House) -> None:
    house.env |= {"TERM": "\x1b[31m", "COLUMNS": "-1", "LINES": "x"}
