"""`speechkit serve`: the same as `predict`, and what is refused in one sentence."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice
from emotion_models import write_encoder_model
from separation_models import make_model

import speechkit
from speechkit.base import log
from speechkit.base.errors import ConfigError, MissingDependency, UserError

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")
pytest.importorskip("python_multipart", reason="the extra [serve] is not installed")
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from starlette.testclient import httpx

from speechkit.serve import answers, app, guard, server
from speechkit.serve.app import Busy, Queue
from speechkit.serve.config import ServeConfig
from speechkit.workdir import WorkDir

TEXT = "we call it bear"
HOME = "http://127.0.0.1:8000"


def as_wav(samples: np.ndarray, rate: int = 16000, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


VOICE = as_wav(voice(130, 1.6))


def client_of(config: ServeConfig, models: dict) -> TestClient:
    made = app.create(config, models)
    return TestClient(made, base_url=HOME, raise_server_exceptions=False)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("serve")
    make_model(root, "dm")
    write_encoder_model(root, "tuned")
    return root


@pytest.fixture(scope="module")
def models(place: Path) -> dict:
    named = ServeConfig(separation="dm", emotion="tuned")
    return server.load_models(named, WorkDir(place), "cpu")


@pytest.fixture
def client(models: dict) -> TestClient:
    return client_of(ServeConfig(per_minute=0, max_megabytes=0.4, max_seconds=6), models)


def post(client: TestClient, task: str, data: bytes, name: str = "a.wav", **fields: str):
    return client.post(f"/v1/{task}", files={"audio": (name, data)}, data=fields)


def test_scores_are_those_of_predict(run, client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(VOICE)
    ran = run("predict", "pronunciation", tmp_path / "a.wav", "--text", TEXT, "--json")
    assert ran.code == 0, ran.err
    wanted = json.loads(ran.out)
    wanted = wanted[0] if isinstance(wanted, list) else wanted
    found = post(client, "pronunciation", VOICE, text=TEXT).json()
    curves = found.pop("curves")
    assert found == {name: value for name, value in wanted.items() if name not in ("file", "model")}
    assert len(curves["energy_db"]["values"]) == 1 + (round(1.6 * 16000) - 400) // 160
    voiced = [each for each in curves["pitch_hz"]["values"] if each is not None]
    assert abs(np.median(voiced) - 130) < 1  # of the generated voice
    TypeAdapter(answers.Pronunciation).validate_python({**found, "curves": curves})


def test_phones_in_ipa(client: TestClient) -> None:
    found = post(client, "pronunciation", VOICE, text="bear", ipa="true").json()
    assert [phone["phone"] for phone in found["words"][0]["phones"]] == ["b", "ɛ", "ɹ"]


@pytest.mark.parametrize("rate", [8000, 22050])
def test_sources_are_those_of_the_library(client: TestClient, models: dict, rate: int) -> None:
    mixture = (voice(110, 2.0, rate) + voice(190, 2.0, rate, seed=1)) / 2
    found = post(client, "separation", as_wav(mixture, rate)).json()
    TypeAdapter(answers.Separation).validate_python(found)
    wanted = models["separation"].separate(
        soundfile.read(io.BytesIO(as_wav(mixture, rate)))[0], rate
    )
    assert found["sample_rate"] == rate and len(found["sources"]) == 2
    for source, samples in zip(found["sources"], wanted, strict=True):
        heard, its_rate = soundfile.read(io.BytesIO(base64.b64decode(source["wav"])), dtype="int16")
        assert its_rate == rate
        np.testing.assert_array_equal(heard, np.round(samples * 32768).astype(np.int16))


def test_emotions_over_time(models: dict) -> None:
    samples = voice(150, 13.0)
    client = client_of(ServeConfig(), models)
    found = post(client, "emotion", as_wav(samples)).json()
    TypeAdapter(answers.Emotion).validate_python(found)
    assert len(found["windows"]) == 6 and found["label"] in found["probabilities"]
    assert "input" not in found and "files" not in found


@pytest.mark.parametrize(
    ("data", "text", "status", "message"),
    [
        (b"", TEXT, 422, "empty"),
        (b"RIFF not audio at all", TEXT, 422, "cannot be decoded"),
        (VOICE[:-9000], TEXT, 422, "cut|bytes"),
        (as_wav(np.zeros(16000)), TEXT, 422, "silent"),
        (as_wav(voice(130, 0.05)), TEXT, 422, "too short"),
        (as_wav(voice(130, 7.0)), TEXT, 422, "at most 6 s"),
        (as_wav(np.zeros((900, 9)) + 0.1), TEXT, 422, "9 channels"),
        (VOICE, "", 422, "text.* is (missing or )?empty"),
        (VOICE, "...", 422, "no words"),
        (VOICE, "a" * 1001, 422, "1001 characters"),
        (b"\0" * 500_000, TEXT, 413, "larger than 0.4 MB"),
    ],
)
def test_what_cannot_be_used(client, data: bytes, text: str, status: int, message: str) -> None:
    found = post(client, "pronunciation", data, name="../../etc/passwd", text=text)
    assert (found.status_code, set(found.json())) == (status, {"error", "remedy"})
    assert re.search(message, found.json()["error"]), found.text
    assert "\n" not in found.text and "passwd" not in found.text and "tmp" not in found.text


def test_what_is_no_upload(client: TestClient) -> None:
    missing = client.post("/v1/pronunciation", data={"text": TEXT})
    assert missing.status_code == 422 and "'audio'" in missing.json()["error"]
    odd = client.post(
        "/v1/pronunciation", content=b"{}", headers={"content-type": "multipart/form-data"}
    )
    assert odd.status_code == 400 and odd.json()["error"]
    assert client.get("/v1/pronunciation").status_code == 405
    for path in ("/nothing", "/../config.py", "/%2e%2e/config.py", "/page.js/..%2f"):
        assert client.get(path).status_code == 404


def test_a_body_without_a_length_is_cut_off(client: TestClient) -> None:
    sent = []

    def pieces():
        head = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
        for piece in [head, *[b"\0" * 100_000] * 50]:
            sent.append(len(piece))
            yield piece

    kind = {"content-type": "multipart/form-data; boundary=x"}
    found = client.post("/v1/emotion", content=pieces(), headers=kind)
    assert found.status_code == 413


def test_a_task_without_a_model_says_what_makes_one(models: dict) -> None:
    client = client_of(ServeConfig(), {"pronunciation": models["pronunciation"]})
    about = client.get("/v1/models").json()
    TypeAdapter(answers.About).validate_python(about)
    assert {name: one["ready"] for name, one in about["models"].items()} == {
        "pronunciation": True, "separation": False, "emotion": False,
    }  # fmt: skip
    command = about["models"]["emotion"]["command"]
    assert command == "speechkit run emotion FOLDER && speechkit serve --emotion fbank-cnn"
    found = post(client, "emotion", VOICE)
    assert found.status_code == 404 and command in found.json()["error"]


def test_names_of_models_are_no_paths(models: dict) -> None:
    client = client_of(ServeConfig(separation="/secret/place/dm"), models)
    assert client.get("/v1/models").json()["models"]["separation"]["model"] == "dm"


def test_every_answer_has_the_headers(client: TestClient) -> None:
    for path in ("/", "/v1/models", "/openapi.json", "/nothing"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in guard.HEADERS} == guard.HEADERS
    assert "unsafe" not in guard.POLICY and "http" not in guard.POLICY


def test_other_sites_and_names_are_refused(models: dict) -> None:
    client = client_of(ServeConfig(), models)
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    evil = client.post("/v1/emotion", headers={"origin": "https://evil.example"})
    assert evil.status_code == 403 and "other sites" in evil.json()["error"]
    own = client.post("/v1/emotion", headers={"origin": HOME})
    assert own.status_code == 422
    everywhere = client_of(ServeConfig(host="0.0.0.0"), models)
    assert everywhere.get("/", headers={"host": "speech.example"}).status_code == 200


def test_rate_of_a_client() -> None:
    now = [0.0]
    rates = guard.Rates(3, lambda: now[0])
    assert [rates.wait("a") for _ in range(4)] == [0, 0, 0, 21]
    assert rates.wait("b") == 0
    now[0] = 20.0
    assert [rates.wait("a") for _ in range(2)] == [0, 21]
    now[0] = 1000.0
    assert [rates.wait("a") for _ in range(4)] == [0, 0, 0, 21]
    assert all(guard.Rates(0).wait("a") == 0 for _ in range(100))


def test_too_many_recordings_of_a_client(models: dict) -> None:
    client = client_of(ServeConfig(per_minute=2), models)
    with ThreadPoolExecutor(9) as clients:
        found = list(clients.map(lambda _: client.post("/v1/emotion"), range(9)))
    found.sort(key=lambda one: one.status_code)
    assert [one.status_code for one in found] == [422] * 2 + [429] * 7
    assert int(found[-1].headers["retry-after"]) <= 31 and "at most 2" in found[-1].json()["error"]


def test_clients_that_are_kept_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_CLIENTS", 3)
    rates = guard.Rates(1, lambda: 0.0)
    assert [rates.wait(name) for name in "abcd"] == [0] * 4
    assert rates.wait("d") > 0 and rates.wait("a") == 0  # a was forgotten


def test_what_waits_is_limited_and_the_loop_answers(models: dict) -> None:
    go = threading.Event()

    class Slow:
        def emotions(self, samples: np.ndarray, rate: int):
            assert go.wait(20)
            return models["emotion"].emotions(samples, rate)

    made = app.create(ServeConfig(waiting=1, per_minute=0), {**models, "emotion": Slow()})

    async def clients() -> list[int]:
        transport = httpx.ASGITransport(made)
        async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:

            async def send() -> int:
                return (
                    await client.post("/v1/emotion", files={"audio": ("a.wav", VOICE)})
                ).status_code

            waiting = [asyncio.create_task(send()) for _ in range(2)]
            while not made._full():
                await asyncio.sleep(0.01)
            turned_away = await send()
            page = (await client.get("/v1/models")).status_code  # while a model works
            go.set()
            return [turned_away, page, *await asyncio.gather(*waiting)]

    assert asyncio.run(clients()) == [503, 200, 200, 200]


def test_the_queue_itself_refuses() -> None:
    async def three() -> list:
        queue = Queue(1)
        runs = [queue.run(lambda k: k, number) for number in range(3)]
        return await asyncio.gather(*runs, return_exceptions=True)

    found = asyncio.run(three())
    assert found[:2] == [0, 1] and isinstance(found[2], Busy)


def test_a_bug_is_no_end(models: dict) -> None:
    class Broken:
        def emotions(self, *_: object) -> None:
            raise ZeroDivisionError

    client = client_of(ServeConfig(), {**models, "emotion": Broken()})
    found = post(client, "emotion", VOICE)
    assert found.status_code == 500 and "bug" in found.json()["error"]
    assert post(client, "pronunciation", VOICE, text=TEXT).status_code == 200


def test_openapi_names_every_answer(client: TestClient) -> None:
    found = client.get("/openapi.json").json()
    assert set(found["paths"]) == {
        "/v1/models", "/v1/pronunciation", "/v1/separation", "/v1/emotion",
    }  # fmt: skip
    of = found["paths"]["/v1/pronunciation"]["post"]["responses"]
    assert {"200", "413", "422", "429", "503"} <= set(of)


def test_the_page_is_of_this_server_alone() -> None:
    for file in sorted(app.PAGE.iterdir()):
        text = file.read_text("utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), file.name
        assert not re.search(r"<script>|style=|onclick=|innerHTML", text), file.name


def test_an_address_that_is_taken(run) -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        ran = run("serve", "--port", port)
    assert ran.code == 2 and f"127.0.0.1:{port}" in ran.err and "--port" in ran.err
    with pytest.raises(UserError, match=r"nowhere\.invalid"):
        server.listen("nowhere.invalid", 0)


def test_addresses() -> None:
    with server.listen("0.0.0.0", 0) as made:
        assert server.address(made) == f"http://127.0.0.1:{made.getsockname()[1]}/"
    if socket.has_ipv6:
        with server.listen("::1", 0) as made:
            assert server.address(made).startswith("http://[::1]:")


def test_without_the_extra(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == "uvicorn" else True)
    with pytest.raises(MissingDependency, match="uvicorn"):
        server.require_packages()
    ran = run("serve")
    assert ran.code == 2 and "pip install" in ran.err and "uvicorn" in ran.err


@pytest.mark.parametrize("given", [{"max_megabytes": 0}, {"per_minute": -1}, {"port": 70000}])
def test_settings_out_of_range(given: dict) -> None:
    with pytest.raises(ConfigError):
        ServeConfig(**given).check()


def test_decoding_in_memory_is_that_of_files(tmp_path: Path) -> None:
    stereo = np.stack([voice(130, 1.0, 22050), voice(150, 1.0, 22050)], axis=1)
    for kind in ("WAV", "FLAC", "OGG", "MP3"):
        data = as_wav(stereo, 22050, kind)
        (tmp_path / f"a.{kind.lower()}").write_bytes(data)
        wanted, rate = speechkit.base.audio.read(tmp_path / f"a.{kind.lower()}")
        found, its_rate = answers.decode(data, 60)
        assert rate == its_rate == 22050
        np.testing.assert_array_equal(found, wanted)
    log.forget_notes()


def test_models_are_warm_before_the_first_recording() -> None:
    """Each is used once; what one refuses does not stop the server."""
    used = []

    class Model:
        def score(self, samples, rate, text):
            used.append(("score", len(samples) / rate, text))

        def separate(self, samples, rate):
            raise UserError("Noise is not separated.", "Speak.")

    level = server.logger.level
    server.warm_up({"pronunciation": Model(), "separation": Model()})
    assert server.logger.level == level
    assert used == [("score", 1.0, "one two three")]
