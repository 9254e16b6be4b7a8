"""``prepare crema-d`` and ``prepare emodb`` on generated trees; trees that are refused."""

import json
import shutil

import pytest
import soundfile
from acted_speech import RATE, acted

from speechkit.corpora import crema_d, emodb
from speechkit.kaldi.data import read_table
from speechkit.workdir.manifest import read_manifest

CREMA_D = ("1001_DFA_ANG_XX", "1001_IEO_SAD_HI", "1002_IEO_NEU_XX", "1002_ITH_SAD_X")
EMODB = ("03a01Fa", "03b10Wc", "08a01Lb", "08a07Na", "16b02Ta", "16b02Ea", "16b02Aa")
TABLE = (
    "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Asian,\n"
)
TREES = {"crema-d": ("AudioWAV", CREMA_D), "emodb": ("wav", EMODB)}


def make(root, corpus):
    folder = root / corpus / TREES[corpus][0]
    folder.mkdir(parents=True)
    for number, name in enumerate(TREES[corpus][1]):
        soundfile.write(folder / f"{name}.wav", acted(1, 1, number, 0.1), RATE)
    if corpus == "crema-d":
        (folder.parent / crema_d.DEMOGRAPHICS).write_text(TABLE)
    return folder.parent


@pytest.fixture
def prepare(run, tmp_path):
    def call(corpus, *more, path=None):
        place = path or tmp_path / corpus
        return run("prepare", corpus, place, "-C", tmp_path, "-j", 1, *more)

    return call


def test_crema_d(run, prepare, tmp_path):
    corpus = make(tmp_path, "crema-d")
    (corpus / "AudioMP3").mkdir()  # the same recordings again, which are not read
    shutil.copy(corpus / "AudioWAV/1001_DFA_ANG_XX.wav", corpus / "AudioMP3/1001_DFA_ANG_XX.wav")
    done = prepare("crema-d", "--json")
    assert done.code == 0, done.err
    row = json.loads(done.out)[0]
    assert (row["set"], row["speakers"], row["female"], row["male"], row["utterances"]) == (
        "crema_d", 2, 1, 1, 4,
    )  # fmt: skip
    folder = tmp_path / "data/crema_d"
    assert list(read_table(folder / "utt2emotion").items()) == [
        ("actor1001-1001_DFA_ANG_XX", "angry"),
        ("actor1001-1001_IEO_SAD_HI", "sad"),
        ("actor1002-1002_IEO_NEU_XX", "neutral"),
        ("actor1002-1002_ITH_SAD_X", "sad"),
    ]
    assert [*read_table(folder / "utt2intensity").values()] == [
        "unspecified", "high", "unspecified", "unspecified",
    ]  # fmt: skip
    assert read_table(folder / "utt2statement")["actor1001-1001_IEO_SAD_HI"] == "ieo"
    assert read_table(folder / "text")["actor1001-1001_DFA_ANG_XX"] == "Don't forget a jacket"
    assert read_table(folder / "spk2gender") == {"actor1001": "m", "actor1002": "f"}
    assert read_table(folder / "spk2age") == {"actor1001": "51", "actor1002": "21"}
    assert run("validate", "-C", tmp_path).code == 0
    assert "up to date" in prepare("crema-d").err
    (corpus / crema_d.DEMOGRAPHICS).write_text(TABLE.replace("51", "52"))
    assert "up to date" not in prepare("crema-d", "--force").err


def test_crema_d_from_the_folder_of_its_audio(prepare, tmp_path):
    corpus = make(tmp_path, "crema-d")
    assert prepare("crema-d", path=corpus / "AudioWAV").code == 0
    assert "spk2age" in {p.name for p in (tmp_path / "data/crema_d").iterdir()}
    (corpus / crema_d.DEMOGRAPHICS).unlink()
    done = prepare("crema-d", "--set", "bare")
    assert done.code == 0 and "genders and ages are not known" in done.err
    assert not (tmp_path / "data/bare/spk2gender").exists()


def test_emodb(run, prepare, tmp_path):
    make(tmp_path, "emodb")
    (tmp_path / "emodb/wav/readme.wav").write_bytes(b"no name of the corpus")
    assert prepare("emodb").code == 0
    folder = tmp_path / "data/emodb"
    emotions = read_table(folder / "utt2emotion")
    assert emotions == {
        "speaker03-03a01Fa": "happy", "speaker03-03b10Wc": "angry", "speaker08-08a01Lb": "bored",
        "speaker08-08a07Na": "neutral", "speaker16-16b02Aa": "fearful",
        "speaker16-16b02Ea": "disgust", "speaker16-16b02Ta": "sad",
    }  # fmt: skip
    assert read_table(folder / "utt2statement")["speaker03-03b10Wc"] == "b10"
    assert read_table(folder / "text")["speaker03-03a01Fa"] == "Der Lappen liegt auf dem Eisschrank"
    assert read_table(folder / "spk2gender") == {
        "speaker03": "m",
        "speaker08": "f",
        "speaker16": "f",
    }
    assert read_table(folder / "spk2age") == {
        "speaker03": "31", "speaker08": "34", "speaker16": "31",
    }  # fmt: skip
    assert read_manifest(folder)["left_out"] == {"files without a name of EmoDB": 1}
    assert run("validate", "-C", tmp_path).code == 0


def test_the_published_facts():
    """Counts that the corpora's pages give."""
    assert len(crema_d.ACTORS) == 91 and len(crema_d.TEXTS) == 12 and len(crema_d.EMOTIONS) == 6
    assert len(emodb.SPEAKERS) == 10 and len(emodb.TEXTS) == 10 and len(emodb.EMOTIONS) == 7
    assert sorted(gender for gender, _ in emodb.SPEAKERS.values()) == ["f"] * 5 + ["m"] * 5


@pytest.mark.parametrize(
    ("corpus", "name", "what"),
    [
        ("crema-d", "1092_DFA_ANG_XX", "speaker code '1092'"),
        ("crema-d", "1001_AAA_ANG_XX", "statement code 'AAA'"),
        ("crema-d", "1001_DFA_JOY_XX", "emotion code 'JOY'"),
        ("crema-d", "1001_DFA_ANG_ZZ", "intensity code 'ZZ'"),
        ("emodb", "04a01Fa", "speaker code '04'"),
        ("emodb", "03a03Fa", "statement code 'a03'"),
        ("emodb", "03a01Ga", "emotion code 'G'"),
    ],
)
def test_codes_outside_the_corpus(prepare, tmp_path, corpus, name, what):
    folder, names = TREES[corpus]
    file = make(tmp_path, corpus) / folder / f"{names[0]}.wav"
    file.rename(file.with_name(f"{name}.wav"))
    done = prepare(corpus)
    assert done.code == 2 and what in done.err and "Accepted: " in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("corpus", ["crema-d", "emodb"])
def test_other_folders(prepare, tmp_path, corpus):
    (tmp_path / corpus).mkdir()
    assert "is an empty folder" in prepare(corpus).err
    soundfile.write(tmp_path / corpus / "hello.wav", acted(1, 1, 0, 0.1), RATE)
    done = prepare(corpus)
    assert done.code == 2 and "No speech recording of" in done.err and "Expected: " in done.err
    assert prepare(corpus, path=tmp_path / "absent").code == 2


@pytest.mark.parametrize("corpus", ["crema-d", "emodb"])
def test_one_name_with_two_contents(prepare, tmp_path, corpus):
    folder, names = TREES[corpus]
    more = make(tmp_path, corpus) / folder / "more"
    more.mkdir()
    soundfile.write(more / f"{names[0]}.wav", acted(1, 1, 99), RATE)
    done = prepare(corpus)
    assert done.code == 2 and "have one name, but are not the same" in done.err


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("ActorID,Age\n1001,51\n", "no column 'Sex'"),
        ("", "no column 'ActorID'"),
        ("ActorID,Age,Sex\n1001,old,Male\n", ":2: 'old' is no age"),
        ("ActorID,Age,Sex\n1001,51,x\n", ":2: the gender 'x'"),
        ("ActorID,Age,Sex\n1001,51\n", ":2: expected"),
    ],
)
def test_tables_of_actors_that_cannot_be_used(prepare, tmp_path, table, what):
    corpus = make(tmp_path, "crema-d")
    (corpus / crema_d.DEMOGRAPHICS).write_text(table)
    done = prepare("crema-d")
    assert done.code == 2 and what in done.err and not (tmp_path / "data").exists()
