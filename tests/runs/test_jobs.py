"""Jobs come longest first, and in pieces when there are fewer than workers."""

from __future__ import annotations

from lmeec.data.takes import find_takes
from lmeec.runs.jobs import Job, JobQueue, Share, jobs_of, narrowed, remaining


def job(name, *steps, **changes):
    shares = tuple(Share(f"cam{i:02d}", count, count, ("aria01",)) for i, count in enumerate(steps))
    return Job(0, name, name, "ego2exo", shares, **changes)


def drain(queue):
    return [job.label for job in iter(queue.next, None)]


def test_longest_first_and_failed_ones_last():
    queue = JobQueue([job("short", 3), job("again", 90, attempt=2), job("long", 50), job("middle", 20)], workers=1)
    assert drain(queue) == ["long ego2exo", "middle ego2exo", "short ego2exo", "again ego2exo"]


def test_whole_takes_while_there_are_enough():
    queue = JobQueue([job("a", 9, 9), job("b", 8, 8), job("c", 7, 7)], workers=2)
    assert queue.next().label == "a ego2exo"
    assert queue.next().label == "b ego2exo"
    assert drain(queue) == ["c ego2exo cam00", "c ego2exo cam01"]


def test_one_worker_never_splits():
    assert drain(JobQueue([job("a", 5, 5)], workers=1)) == ["a ego2exo"]


def pairs(*exos, ego="aria01"):
    return {(ego, exo) for exo in exos}


def test_remaining_cameras_of_a_split_take():
    jobs = [job("new", 1, 1), job("whole", 1, 1), job("split", 1, 1, 1), job("pieces", 1, 1), job("nothing")]
    done = {
        ("whole", "ego2exo"): pairs("cam00", "cam01"),
        ("split", "ego2exo"): pairs("cam01"),
        ("pieces", "ego2exo"): pairs("cam00", "cam01", "cam07"),
        ("nothing", "ego2exo"): set(),
    }
    labels = [one.label for one in remaining(jobs, done)]
    assert labels == ["new ego2exo", "split ego2exo cam00 cam02"]
    assert [one.label for one in remaining([job("nothing")], {})] == ["nothing ego2exo"]


def test_what_remains_of_two_ego_cameras_is_no_more_than_what_remains():
    shares = tuple(Share(exo, 4, 2, ("aria01", "aria02")) for exo in ("cam00", "cam01", "cam02"))
    both = Job(0, "take", "take", "exo2ego", shares)
    done = {("cam00", "aria01"), ("cam01", "aria01")}
    left = list(remaining([both], {both.key: done}))
    assert {pair for one in left for pair in one.pairs} == both.pairs - done
    assert [sorted(one.cameras) for one in left] == [["aria02", "cam00", "cam01"], ["aria01", "aria02", "cam02"]]
    assert [one.steps for one in left] == [4, 4]
    assert len({one.piece for one in left}) == 2


def test_estimates_and_pieces_of_a_real_take(takes):
    found = find_takes(takes.root, names=takes.names[:1])
    both = {job.direction: job for job in jobs_of(found, ("ego2exo", "exo2ego"))}
    take = found[0]
    ego = sum(len(track.frames) for (_, camera), track in take.tracks.items() if camera.startswith("aria"))
    exo = sum(len(track.frames) for (_, camera), track in take.tracks.items() if not camera.startswith("aria"))
    assert both["ego2exo"].steps == 2 * ego
    assert both["exo2ego"].steps == exo
    piece = both["ego2exo"].split()[0]
    assert piece.cameras == {"aria01_214-1", "gp01"}
    assert piece.steps == ego
    small = narrowed(take, piece.cameras)
    assert set(small.cameras) == {"aria01_214-1", "gp01"}
    assert all(camera != "gp02" for _, camera in small.tracks)
    assert [one.label for one in both["exo2ego"].split()] == [f"{take.name} exo2ego {exo}" for exo in ("gp01", "gp02")]
