from __future__ import annotations

import subprocess
import sys

import pytest

from mgenv._version import __version__
from mgenv.cli.main import BENCHMARKS, COMMANDS, main


def test_help_names_every_command(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mgenv {__version__}\n"


def test_an_unknown_command_is_told_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "Did you mean 'train'?" in capsys.readouterr().err


def test_an_unknown_benchmark_is_told_with_the_nearest(capsys):
    assert main(["bench", "sped"]) == 2
    assert "Did you mean 'speed'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS, *(f"bench {name}" for name in BENCHMARKS)])
def test_every_command_has_help(command, capsys):
    try:
        assert main([*command.split(), "--help"]) == 0
    except SystemExit as leaving:
        assert leaving.code == 0
    assert "usage: mgenv" in capsys.readouterr().out


def test_a_missing_extra_is_told(monkeypatch, capsys):
    def missing(_):
        raise ModuleNotFoundError("No module", name="stable_baselines3.common")

    monkeypatch.setattr("mgenv.cli.main.import_module", missing)
    assert main(["train"]) == 2
    assert "pip install 'mgenv[train]'" in capsys.readouterr().err


def test_an_error_of_ours_is_not_hidden(monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("No module", name="mgenv.nothing")

    monkeypatch.setattr("mgenv.cli.main.import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        main(["train"])


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mgenv.cli.main.import_module", interrupt)
    assert main(["train"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_the_module_is_the_command():
    ran = subprocess.run(
        [sys.executable, "-m", "mgenv", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"mgenv {__version__}\n"


def test_help_does_not_load_torch():
    code = "from mgenv.cli.main import main; main([]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"import sys; {code}"], check=True, capture_output=True)
