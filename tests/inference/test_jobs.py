"""Jobs come longest first, and in pieces when there are fewer than workers."""

from __future__ import annotations

import dataclasses

from lmeec.data.takes import find_takes
from lmeec.inference.jobs import Job, JobQueue, Share, jobs_of, narrowed, remaining


def job(name, *steps, **changes):
    shares = tuple(Share(f"cam{i:02d}", count, count) for i, count in enumerate(steps))
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


def test_remaining_cameras_of_a_split_take():
    jobs = [job("new", 1, 1), job("whole", 1, 1), job("split", 1, 1, 1), job("pieces", 1, 1)]
    done = {
        ("whole", "ego2exo"): {None},
        ("split", "ego2exo"): {"cam01"},
        ("pieces", "ego2exo"): {"cam00", "cam01"},
    }
    labels = [one.label for one in remaining(jobs, done)]
    assert labels == ["new ego2exo", "split ego2exo cam00", "split ego2exo cam02"]


def test_estimates_and_pieces_of_a_real_take(takes):
    found = find_takes(takes.root, names=takes.names[:1])
    both = {job.direction: job for job in jobs_of(found, ("ego2exo", "exo2ego"))}
    take = found[0]
    ego = sum(len(track.frames) for (_, camera), track in take.tracks.items() if camera.startswith("aria"))
    exo = sum(len(track.frames) for (_, camera), track in take.tracks.items() if not camera.startswith("aria"))
    assert both["ego2exo"].steps == 2 * ego
    assert both["exo2ego"].steps == exo
    piece = both["ego2exo"].split()[0]
    assert piece.target_camera == "gp01"
    assert piece.steps == ego
    small = narrowed(take, piece)
    assert set(small.cameras) == {"aria01_214-1", "gp01"}
    assert all(camera != "gp02" for _, camera in small.tracks)
    assert narrowed(take, dataclasses.replace(piece, target_camera=None)) is take
