"""Names that a shell would run, wherever a path of audio or of an archive is read."""

from __future__ import annotations

import shutil

from hostile.watch import World

FORMS = [
    "touch pwned |",
    "touch pwned|",
    "touch pwned | ",
    "touch pwned |\r",
    "touch pwned |\t",
    "| touch pwned",
    "touch pwned |\u00a0",
    "cat x | touch pwned |",
    "$(touch pwned).wav",
    "`touch pwned`",
    "touch pwned |\x00",
]
STAGES = [
    "validate --set s",
    "validate --decode --set s",
    "validate --fix --set s",
    "extract-prosody --set s -j 1",
    "extract-xvector --set s --model small -j 1",
    "align --set s --am sphinx -j 1",
    "extract-gop --set s --am sphinx -j 1",
    "extract-deep --set s --am tiny --align-with sphinx -j 1",
    "mix --set s --count 2 -j 1",
    "split --set s --share 0.5 --into a1,b1",
    "train emotion --set s --upstream egemaps --folds 0 --name z -j 1",
    "train xvector --set s --name z -j 0",
    "train separation --set s --name z --model tiny -j 0",
    "split-folds --set s",
    "report",
]
MODELS = {"emotion": "cnn", "separation": "sep", "pronunciation": "pron", "scoring": "sc"}


def run(world: World) -> None:
    """Sets, single recordings, tables of recordings, mixtures and archives."""
    _sets(world)
    _recordings(world)
    _mixtures(world)
    _archives(world)


def _sets(world: World) -> None:
    shutil.copytree(world.root / "data/so_train", world.root / "data/s")
    scp = world.root / "data/s/wav.scp"
    first, *rest = scp.read_text().splitlines()
    for number, form in enumerate(FORMS):
        scp.write_text("\n".join([f"{first.split()[0]} {form}", *rest]) + "\n")
        for stage in STAGES if number < 3 else STAGES[:5]:
            world.judge(f"wav.scp {form!r}", stage, expected=(0, 2))


def _recordings(world: World) -> None:
    for name in FORMS[:2]:
        for task, model in MODELS.items():
            text = ["--text", "WE"] if task in ("pronunciation", "scoring") else []
            words = ["predict", task, name, "--model", model, *text]
            world.judge(f"a recording {name!r}", words)
            shutil.copy(world.wav, world.root / name)
            out = ["--out", "ROOT/o", "--force"] if task == "separation" else []
            world.judge(f"a file of the name {name!r}", [*words, *out], expected=(0, 2))
            (world.root / name).unlink()
            if text:
                (world.root / "t.tsv").write_text(f"{name}\tWE CALL\n")
                line = f"predict {task} --trans ROOT/t.tsv --model {model}"
                world.judge(f"--trans {name!r}", line)
        (world.root / "list.tsv").write_text(f"{name}\tanna\tWE CALL\n")
        world.judge(f"prepare folder {name!r}", "prepare folder ROOT/list.tsv --set p")


def _mixtures(world: World) -> None:
    shutil.copytree(world.root / "data/test_2mix", world.root / "data/m_2mix")
    table = world.root / "data/m_2mix/mixtures.tsv"
    header, first, *rest = table.read_text().splitlines()
    at = header.split("\t").index("wav")
    for form in ("touch pwned |", "../../../etc/passwd", "/dev/zero"):
        cells = first.split("\t")
        cells[at] = form
        table.write_text("\n".join([header, "\t".join(cells), *rest]) + "\n")
        line = "evaluate separation --name sep --set m_2mix -j 1"
        world.judge(f"mixtures.tsv {form!r}", line, expected=(0, 2))


def _archives(world: World) -> None:
    scp = world.root / "exp/xvector/train/xvector.scp"
    first, *rest = scp.read_text().splitlines()
    for form in (*FORMS[:2], "| touch pwned", "cat x | touch pwned |:5"):
        scp.write_text("\n".join([f"{first.split()[0]} {form}", *rest]) + "\n")
        line = "mine-hard --param xvector --pm 0.2 --name p --force"
        world.judge(f"xvector.scp {form!r}", line)
        world.judge(f"xvector.scp {form!r}", "report", expected=(0, 2))
    lines = {"gop": "train pronunciation --set so_train", "deep": "train scoring --set so_train"}
    for name, line in lines.items():
        scp = world.root / f"exp/{name}/so_train/{name}.scp"
        first, *rest = scp.read_text().splitlines()
        scp.write_text("\n".join([f"{first.split()[0]} touch pwned |", *rest]) + "\n")
        world.judge(f"{name}.scp", f"{line} --name z --epochs 1 -j 1")
