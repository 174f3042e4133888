"""Nano's clips: that views show one instant, that sentences are true, and that questions cannot be guessed."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.synthetic.classes import CLASSES, UNKNOWN, classes_of
from lmeec.mllm.synthetic.drawing import cameras, draw_take
from lmeec.mllm.synthetic.facts import Facts, plan_takes
from lmeec.mllm.synthetic.marks import COLOURS, SHAPES
from lmeec.mllm.synthetic.questions import TASKS, answer_of, captions, questions, text_only_accuracy
from lmeec.mllm.synthetic.store import drawn_clips
from lmeec.mllm.synthetic.world import SEEDS, TAKES, World
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import take_seed

WORLD = World(size=48)


@pytest.fixture(scope="module")
def plans():
    return list(plan_takes(World(), SEEDS["val"], 60))


@pytest.fixture(scope="module")
def facts(plans):
    return [one.facts for _, planned in plans for one in planned]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    drawn_clips(folder, WORLD, "val", 3, threads=2)
    return folder


def test_both_views_are_drawn_of_the_same_frames_of_one_take(plans):
    seed, planned = plans[0]
    drawn = draw_take(WORLD, seed, planned)
    scene = make_scene(seed, WORLD.scene)
    assert drawn
    for one in drawn:
        for view, camera in zip(one.pictures, cameras(scene, WORLD), strict=True):
            again = [Renderer(scene, camera, (48, 48)).render(frame).rgb for frame in one.facts.frames]
            np.testing.assert_array_equal(view, again)


def test_marks_say_what_each_cell_shows(plans):
    """Counted pixel by pixel: the most frequent thing of a cell from 12 pixels on, and the handled one."""
    seed, planned = plans[0]
    scene = make_scene(seed, WORLD.scene)
    handled = {one.facts: one.object for one in planned}
    told = 0
    for one in draw_take(WORLD, seed, planned):
        for marks, camera in zip(one.marks, cameras(scene, WORLD), strict=True):
            for cells, number in zip(marks, one.facts.frames, strict=True):
                objects = Renderer(scene, camera, (48, 48)).render(number).objects
                for cell, (colour, shape, is_handled) in enumerate(cells.tolist()):
                    row, column = divmod(cell, 3)
                    pixels = objects[16 * row : 16 * row + 16, 16 * column : 16 * column + 16].ravel().tolist()
                    counts = {thing: pixels.count(thing + 1) for thing in range(len(scene.objects))}
                    assert is_handled == (counts[handled[one.facts]] >= 12)
                    most = max(counts, key=counts.__getitem__)
                    name = f"{COLOURS[colour - 1]} {SHAPES[shape - 1]}_0" if colour else None
                    assert name == (scene.objects[most].name if counts[most] >= 12 else None)
                    told += colour > 0
    assert told


def test_what_is_true_of_a_clip_is_what_happens_in_its_scene(plans):
    for seed, planned in plans[:10]:
        scene = make_scene(seed, World().scene)
        for one in planned:
            middle = np.mean(one.facts.frames) / 30
            held = [event for event in scene.events if event.reach <= middle <= event.retreat]
            assert len(held) == 1
            event = held[0]
            assert event.object == one.object
            assert scene.objects[event.object].name == f"{one.facts.thing}_0"
            assert one.facts.thing in one.facts.caption
            assert one.facts.wearer == (event.actor == 0) == one.facts.caption.startswith("The camera wearer")
            assert one.facts.hand == ("left", "right")[event.hand]
            where = "in the box" if event.kind == "stash" else "on the table"
            assert one.facts.following in {None, f"it is put {where}"}


def test_only_clips_are_kept_whose_thing_both_views_show(plans):
    narrow = replace(World(), ego_focal=2.0)
    dropped = 0
    for seed, planned in plans[:2]:
        kept = [drawn.facts for drawn in draw_take(narrow, seed, planned)]
        scene = make_scene(seed, narrow.scene)
        views = [Renderer(scene, camera, (128, 128)) for camera in cameras(scene, narrow)]
        for one in planned:
            shown = [
                sum((view.render(frame).objects == one.object + 1).sum() for frame in one.facts.frames)
                for view in views
            ]
            assert (one.facts in kept) == (min(shown) >= 4 * 8)
            dropped += one.facts not in kept
    assert dropped


def test_the_ego_view_is_blurred_and_the_exo_view_is_sharp(plans):
    pictures = draw_take(World(), *plans[0])[0].pictures
    steps = np.abs(np.diff(pictures.astype(float), axis=-2)).mean(axis=(1, 2, 3, 4))
    sharper = replace(World(), ego_blur=0.0)
    unblurred = draw_take(sharper, *plans[0])[0].pictures
    assert steps[0] < 0.6 * np.abs(np.diff(unblurred[0].astype(float), axis=-2)).mean()
    np.testing.assert_array_equal(pictures[1], unblurred[1])


def test_takes_of_different_splits_differ():
    seeds = [{take_seed(SEEDS[split], number) for number in range(TAKES[split])} for split in SEEDS]
    assert sum(map(len, seeds)) == len(set.union(*seeds)) == sum(TAKES.values())


def test_within_a_task_no_answer_is_much_more_frequent_than_others(facts):
    asked = questions(facts, seed=0)
    for task in TASKS:
        counts = Counter(sample.answer for sample in asked if sample.task == task)
        assert len(counts) == {"object": len(counts), "action": 5, "hand": 2, "whose": 2, "next": 2}[task]
        if task == "object":
            assert max(counts.values()) <= 0.05 * sum(counts.values())
        else:
            assert len(set(counts.values())) == 1


def test_the_text_of_questions_alone_answers_no_more_than_chance(facts):
    """A naive guesser: it knows the training's answers by task and by the question's words."""
    train = [one.facts for _, planned in plan_takes(World(), SEEDS["train"], 120) for one in planned]
    right = text_only_accuracy(questions(train, 0), questions(facts, 0))
    assert right["object"] < 0.08
    assert right["action"] < 0.34
    assert all(right[task] < 0.68 for task in ("hand", "whose", "next"))


def test_a_guesser_would_notice_answers_that_are_not_balanced():
    one = Facts(0, "c", (0, 1), "red mug", "pick it up", "left", True, 2, None)
    asked = [captions([one], 0)[0]] * 4
    assert text_only_accuracy(asked, asked) == {"caption": 1.0}


def test_questions_follow_from_the_seed_and_say_nothing_of_their_clip(facts):
    asked = questions(facts, seed=3)
    assert asked == questions(facts, seed=3)
    assert asked != questions(facts, seed=4)
    known = {answer_of(one, "object") for one in facts}
    for sample in asked:
        assert not any(thing in sample.question or thing in sample.instruction for thing in known)


def test_clips_are_drawn_once_whatever_the_threads(folder, tmp_path):
    def drawn_again(*_):
        raise AssertionError("drawn again")

    there = drawn_clips(folder, WORLD, "val", 3, on_progress=drawn_again)
    alone = drawn_clips(tmp_path, WORLD, "val", 3, threads=1)
    assert there.facts == alone.facts
    np.testing.assert_array_equal(there.pictures, alone.pictures)
    assert there.pictures.shape == (len(there.facts), 2, 4, 48, 48, 3)


def test_another_setting_is_drawn_anew(folder):
    other = drawn_clips(folder, replace(WORLD, ego_blur=0.0), "val", 3)
    assert not np.array_equal(other.pictures[:, 0], drawn_clips(folder, WORLD, "val", 3).pictures[:, 0])


def test_a_sample_is_read_with_the_pictures_of_its_clip(folder):
    drawn = drawn_clips(folder, WORLD, "val", 3)
    asked = drawn.questions()
    clip = asked.read(len(asked) - 1)
    place = int(clip.sample.id.split("/")[0])
    assert answer_of(drawn.facts[place], clip.sample.task) == clip.sample.answer
    np.testing.assert_array_equal(clip.ego, drawn.pictures[place, 0])
    np.testing.assert_array_equal(clip.exo, drawn.pictures[place, 1])


def test_clips_are_sent_to_other_processes_without_their_pictures(folder):
    asked = drawn_clips(folder, WORLD, "val", 3).questions()
    sent = pickle.dumps(asked.part(0, 2))
    assert len(sent) < 5_000
    there = pickle.loads(sent)
    assert list(there.samples) == list(asked.samples[:2])
    np.testing.assert_array_equal(there.read(1).ego, asked.read(1).ego)


def test_pictures_that_were_cut_short_are_told_from_whole_ones(folder, tmp_path):
    drawn_clips(tmp_path, WORLD, "val", 1)
    file = next(tmp_path.glob("val-*/clips.rgb"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"clips\.rgb: drawn clips are damaged: .* drawn anew"):
        drawn_clips(tmp_path, WORLD, "val", 1)


@pytest.mark.parametrize("takes", [0, 61])
def test_takes_that_a_split_does_not_have_are_refused(tmp_path, takes):
    with pytest.raises(ConfigError, match="from 1 to 60"):
        drawn_clips(tmp_path, WORLD, "val", takes)


def test_classes_say_what_the_answers_say(facts):
    """Two clips have the same class exactly where the task's answers are the same."""
    places = {"object": (0, 1), "action": (2,), "hand": (3,), "whose": (4,), "next": (5,)}
    for task, at in places.items():
        pairs = {(answer_of(one, task), tuple(classes_of(one)[list(at)].tolist())) for one in facts}
        assert len({answer for answer, _ in pairs}) == len({classes for _, classes in pairs}) == len(pairs)
        assert {answer is None for answer, classes in pairs if UNKNOWN in classes} <= {True}
    assert all(
        (classes_of(one)[classes_of(one) != UNKNOWN] < np.array(CLASSES)[classes_of(one) != UNKNOWN]).all()
        for one in facts
    )
