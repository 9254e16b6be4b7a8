import pytest
import torch

from speechkit.training import devices
from speechkit.workdir import Output


@pytest.fixture
def second_of_four(monkeypatch):
    """The second process of the second of two machines with two GPUs each."""
    for name, value in (("RANK", 3), ("WORLD_SIZE", 4), ("LOCAL_WORLD_SIZE", 2)):
        monkeypatch.setenv(name, str(value))


def test_place_as_torchrun_says(second_of_four, monkeypatch):
    here = devices.ranks()
    assert (here.rank, here.world, here.nodes, here.local_rank) == (3, 4, 2, 1)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert devices.ranks().local_rank == 0
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert devices.ranks() == devices.Ranks()


def test_every_process_takes_its_own_gpu_before_it_meets_the_others(
    second_of_four, monkeypatch, tmp_path
):
    calls = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: calls.append(number))
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend: calls.append(backend)
    )
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda box, src: None)
    output = Output(tmp_path / "out", "train", {}, [])
    with devices.shared_output(output, torch.device("cuda")) as out:
        assert not out.up_to_date
    assert calls == [1, "nccl"]
