"""The report: sections, escaping, self-containedness, and a look in a real browser."""

import base64
import json
import re
import shutil
from pathlib import Path

import browser
import numpy as np
import pytest
import soundfile
from conftest import make_set, voice
from speaker_models import write_model

from speechkit.report import elements, overview, page
from speechkit.report.elements import Player, Section, Table
from speechkit.workdir import WorkDir


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A working directory with every kind of output."""
    from speechkit.cli.main import main

    root = tmp_path_factory.mktemp("report")
    make_set(root, speakers=4, utterances=4, seconds=0.6)
    write_model(root)
    for words in (
        ["extract-prosody", "-j", "1"],
        ["extract-xvector"],
        ["mine-hard", "--param", "pitch", "--pm", "0.2"],
        ["mine-hard", "--param", "xvector", "--pm", "0.2"],
        ["train", "xvector", "--name", "own", "--channels", "8,8,8,8,8", "--embedding", "8",
         "--epochs", "2", "--batch-size", "8", "--chunk-min", "0.3", "--chunk-max", "0.4",
         "--jobs", "0"],
    ):  # fmt: skip
        assert main([*words, "-C", str(root)]) == 0
    return root


def test_all_sections_are_there(made, run):
    done = run("report", "-C", made, "--title", "A & B")
    assert done.code == 0, done.err
    assert done.out.strip() == str(made / "report/index.html")
    html = (made / "report/index.html").read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    assert headings == [
        "Sets", "Pitch", "X-vector networks", "X-vectors", "Hard pairs: pitch_pm0.2",
        "Hard pairs: xvector_pm0.2", "Stages",
    ]  # fmt: skip
    assert "<h1>A &amp; B</h1>" in html
    assert html.count("<audio") == 12  # three speaker pairs in each of two folders
    assert "no section" not in done.err


def test_nothing_is_fetched(made, run):
    run("report", "-C", made)
    html = (made / "report/index.html").read_text()
    sources = re.findall(r'(?:src|href)="(.*?)"', html)
    assert len(sources) > 15
    assert all(s.startswith(("data:", "#")) for s in sources)
    assert html.count("<script") == 1 and "<script>\n// A click" in html  # the page's own
    assert (
        "fetch(" not in html
        and "import(" not in html
        and "@import" not in html
        and "url(" not in html
    )


def test_names_from_data_are_escaped(tmp_path, run):
    make_set(tmp_path)
    manifest = {"command": "x", "params": {"a": "<b>bold"}, "seconds": 1, "finished": "now"}
    (tmp_path / "data/train/manifest.json").write_text(json.dumps(manifest))
    html = page.render(page.collect(WorkDir(tmp_path)), "<script>alert(1)</script>")
    assert "<script>alert" not in html and "&lt;script&gt;" in html
    assert "<b>bold" not in html and "&lt;b&gt;bold" in html
    section = Section("x", tables=[Table(["a"], [["<i>"]])], players=[Player(b"", "a/b", '">')])
    assert "<i>" not in page.render([section], "t")


def test_a_damaged_output_costs_its_section_only(made, run, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    (root / "exp/prosody/train/prosody.tsv").write_text("nonsense\n")
    (root / "exp/hard/pitch_pm0.2/summary.json").write_text("{")
    done = run("report", "-C", root)
    assert done.code == 0
    assert "no section 'pitch'" in done.err
    html = (root / "report/index.html").read_text()
    assert "X-vector networks" in html and "<h2>Pitch" not in html


def test_genders_that_nobody_knows_have_no_columns(made, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    heads = [table.columns for table in next(overview.hard_pairs(WorkDir(root))).tables]
    assert any("genders" in columns for columns in heads)
    (root / "data/train/spk2gender").unlink(missing_ok=True)
    file = root / "exp/hard/pitch_pm0.2/summary.json"
    summary = json.loads(file.read_text())
    summary["gender_pairs"] = {"?-?": next(iter(summary["gender_pairs"].values()))}
    for pair in summary["hardest_speaker_pairs"]:
        pair["genders"] = "?-?"
    file.write_text(json.dumps(summary))
    heads = [table.columns for table in next(overview.hard_pairs(WorkDir(root))).tables]
    assert not any("genders" in columns for columns in heads) and "speaker a" in heads[0]
    pitch = overview.pitch(WorkDir(root))
    assert "gender" not in pitch.tables[0].columns and len(pitch.tables[0].rows[0]) == 5


def test_nothing_to_report(tmp_path, run):
    done = run("report", "-C", tmp_path)
    assert done.code == 2
    assert "speechkit prepare" in done.err
    assert not (tmp_path / "report").exists()


def test_clips_are_short_and_levelled(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.01 * voice(120, 6.0, 44100), 44100)
    from speechkit.kaldi.data import Utterance

    sound, mime = elements.clip(Utterance("a", str(path), "s"))
    (tmp_path / "clip").write_bytes(sound)
    samples, rate = soundfile.read(tmp_path / "clip")
    assert mime in ("audio/mpeg", "audio/wav")
    assert rate == 16000
    assert len(samples) / rate == pytest.approx(4.0, abs=0.15)
    assert np.abs(samples).max() == pytest.approx(0.7, abs=0.1)


def test_figures_and_players_load_in_a_browser(made, run, tmp_path):
    """Chromium loads the page without network; every image and sound of it decodes."""
    run("report", "-C", made)
    html = (made / "report/index.html").read_text()
    images, players = html.count("<img"), html.count("<audio")
    assert browser.look(html, tmp_path) == (images + players, 0, 0)


def test_pictures_are_png(made):
    for section in page.collect(WorkDir(made)):
        for picture in section.pictures:
            data = base64.b64decode(picture.source.partition(",")[2])
            assert data.startswith(b"\x89PNG")
            assert picture.alt and picture.caption
