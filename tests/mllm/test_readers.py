"""Readers of other data sets' files: what they make of a file of that shape, and how they name its mistakes."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from lmeec.clips.captions import caption_of
from lmeec.errors import DataError
from lmeec.mllm.data.egomcq import read_egomcq
from lmeec.mllm.data.egoschema import read_egoschema
from lmeec.mllm.data.egotaskqa import read_egotaskqa
from lmeec.mllm.data.egotimeqa import excluded, read_egotimeqa
from lmeec.mllm.data.qaego4d import read_qaego4d
from lmeec.mllm.data.questions_file import read_questions
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.sets import BlankClips, JoinedClips, read_set
from lmeec.mllm.data.something import read_something
from lmeec.mllm.data.templates import INSTRUCTIONS

SOMETHING = {"id": "41775", "label": "moving drawer", "template": "Moving [something]", "placeholders": ["drawer"]}
TIMEQA = {
    "video_id": "a1",
    "sample_id": None,
    "question": "What did I pour in the bowl?",
    "answer": "boiling water",
    "moment_start_frame": 301.5,
    "moment_end_frame": 330,
    "narrations": "C pours water.",
    "wrong_answers": ["oil", "milk", "broth"],
}
QAEGO4D = TIMEQA | {"sample_id": "s_3"}
EGOSCHEMA = {"q_uid": "q0", "google_drive_id": "x", "question": "Why?"} | {
    f"option {n}": f"because {n}" for n in range(5)
}
EGOTASKQA = {
    "question": "What is on?",
    "answer": "the stove",
    "question_id": 7,
    "interval": "1-1-1|P2|30|90",
    "type": ["descriptive"],
}
EGOMCQ = {
    "0": {
        "query": {"clip_text": "#C C opens the door", "video_uid": "v1"},
        "choices": {str(n): {"video_uid": "v1", "clip_start": n - 1.5, "clip_end": f"{n + 1}.5"} for n in range(5)},
        "answer": 2,
        "types": 1,
    }
}


def written(tmp_path, content, name="file.json"):
    path = tmp_path / name
    path.write_text(json.dumps(content, indent=1))
    return path


def test_something_something_asks_for_the_class_or_the_label(tmp_path):
    path = written(tmp_path, [SOMETHING])
    (sample,) = read_something(path)
    assert (sample.video, sample.answer) == ("41775.webm", "Moving something")
    assert read_something(path, answer="label")[0].answer == "moving drawer"


def test_egotimeqa_looks_about_the_moment_and_leaves_out_what_is_judged(tmp_path):
    path = written(tmp_path, [TIMEQA, TIMEQA | {"question": "What did I hold?", "answer": "a pan"}])
    one, two = read_egotimeqa(path, margin=1)
    assert (one.video, one.answer, one.start, one.end) == ("a1.mp4", "boiling water", pytest.approx(9.05), 12.0)
    judged = read_qaego4d(written(tmp_path, [QAEGO4D | {"question": "what did i pour in the bowl"}], "judged.json"))
    left = read_egotimeqa(path, exclude=excluded(judged))
    assert [sample.question for sample in left] == [two.question]
    assert read_set("egotimeqa", path, tmp_path / "judged.json")[0].question == two.question


def test_qaego4d_is_open_or_has_options_in_an_order_of_the_seed(tmp_path):
    path = written(tmp_path, [QAEGO4D | {"sample_id": f"s_{n}"} for n in range(40)])
    assert read_qaego4d(path)[0].options == ()
    closed = read_qaego4d(path, closed=True, seed=1)
    assert all(sorted(one.options) == ["boiling water", "broth", "milk", "oil"] for one in closed)
    assert {one.answer_letter for one in closed} == set("ABCD")
    assert closed == read_qaego4d(path, closed=True, seed=1) != read_qaego4d(path, closed=True, seed=2)


def test_egoschema_has_five_options_and_answers_for_some(tmp_path):
    path = written(tmp_path, [EGOSCHEMA, EGOSCHEMA | {"q_uid": "q1"}])
    answers = written(tmp_path, {"q1": 3}, "answers.json")
    unknown, known = read_egoschema(path, answers)
    assert (unknown.answer, known.answer, known.answer_letter, known.video) == (None, "because 3", "D", "q1.mp4")
    assert read_egoschema(path, answers, answered_only=True) == [known]


def test_egotaskqa_names_pictures_and_frames(tmp_path):
    (sample,) = read_egotaskqa(written(tmp_path, [EGOTASKQA]), "indirect")
    assert (sample.video, sample.frames, sample.task) == ("1-1-1/fpv2", (30, 90), "egotaskqa/indirect")


def test_egomcq_is_five_samples_and_told_apart_by_its_videos(tmp_path):
    samples = read_egomcq(written(tmp_path, EGOMCQ))
    assert [(one.id, one.right) for one in samples] == [(f"0/{n}", n == 2) for n in range(5)]
    assert {one.answer for one in samples} == {"The camera wearer opens the door"}
    assert {one.task for one in samples} == {"egomcq/intra"}
    assert samples[0].start == 0
    EGOMCQ["0"]["choices"]["4"]["video_uid"] = "v2"
    assert {one.task for one in read_egomcq(written(tmp_path, EGOMCQ))} == {"egomcq/inter"}


def test_the_projects_own_file_is_an_array_or_lines(tmp_path):
    records = [
        {"video": "a.mp4", "question": "What?", "answer": "x"},
        {"video": "b.mp4", "instruction": "Describe.", "id": 9},
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    assert read_questions(path) == [
        Sample("0", "a.mp4", "mine", "question", question="What?", answer="x"),
        Sample("9", "b.mp4", "mine", "question", instruction="Describe."),
    ]
    assert read_questions(written(tmp_path, records, "mine.json")) == read_questions(path)


BAD = [
    (read_something, [SOMETHING, {"id": "4"}], 10, "field `template`"),
    (read_egotimeqa, [TIMEQA | {"answer": 3}], 2, "key answer: expected `str`"),
    (read_egotimeqa, [TIMEQA | {"answer": " "}], 2, "key answer: is empty"),
    (read_egotimeqa, [TIMEQA | {"moment_end_frame": 0}], 2, "key moment_end_frame: the moment ends"),
    (lambda path: read_qaego4d(path, closed=True), [QAEGO4D | {"wrong_answers": []}], 2, "key wrong_answers"),
    (read_egoschema, [EGOSCHEMA, EGOSCHEMA, {"q_uid": "q1", "question": "Why?"}], 22, "field `option 0`"),
    (lambda path: read_egotaskqa(path, "direct"), [EGOTASKQA | {"interval": "1-1-1|P2|30"}], 2, "key interval"),
    (read_questions, [{"video": "a", "question": "?", "answr": "x"}], 2, "unknown field `answr`"),
    (read_questions, [{"video": "a"}], 2, "key question: there is neither"),
    (read_questions, [{"video": "a", "question": "?", "start": 1, "start_frame": 2, "end_frame": 3}], 2, "not both"),
    (read_questions, [{"video": "a", "question": "?", "start_frame": 2}], 2, "give both"),
    (read_questions, [{"video": "a", "question": "?", "options": ["x"], "answer": "y"}], 2, "none of its options"),
]


@pytest.mark.parametrize(("read", "content", "line", "said"), BAD)
def test_a_mistake_is_named_with_file_line_and_key(tmp_path, read, content, line, said):
    path = written(tmp_path, content)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}, line {line}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [("[", "the JSON breaks off at line 1"), ("", "the file is empty"), ("[]", "holds no questions")],
)
def test_a_file_that_is_broken_or_empty_is_named(tmp_path, content, said):
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(DataError, match=said) as error:
        read_questions(path)
    assert str(path) in str(error.value)


def test_two_questions_of_one_id_are_named(tmp_path):
    with pytest.raises(DataError, match="two questions have the id '41775'"):
        read_something(written(tmp_path, [SOMETHING, SOMETHING]))


def test_answers_to_other_questions_and_impossible_ones_are_refused(tmp_path):
    path = written(tmp_path, [EGOSCHEMA])
    with pytest.raises(DataError, match="answers none of the questions"):
        read_egoschema(path, written(tmp_path, {"z": 0}, "other.json"))
    with pytest.raises(DataError, match="key q0: 5 is no option"):
        read_egoschema(path, written(tmp_path, {"q0": 5}, "wrong.json"))


def test_pictures_of_a_folder_are_read_by_their_place(tmp_path):
    folder = tmp_path / "videos" / "1-1-1" / "fpv2"
    folder.mkdir(parents=True)
    for number in range(1, 101):
        Image.new("RGB", (6, 4), (2 * number, 0, 0)).save(folder / f"img_{number:05d}.png")
    samples = read_egotaskqa(written(tmp_path, [EGOTASKQA]), "direct")
    clip = VideoClips(samples, tmp_path / "videos", 4).read(0)
    assert clip.ego.shape == (4, 4, 6, 3)
    # The frames 30 to 89 are the pictures 31 to 90; the rule takes 7, 22, 37 and 52 of the 60.
    assert clip.ego[:, 0, 0, 0].tolist() == [2 * (31 + place) for place in (7, 22, 37, 52)]


@pytest.mark.parametrize(
    ("video", "values", "said"),
    [
        ("gone.mp4", {}, "does not exist"),
        ("../up.mp4", {}, "lies outside of"),
        ("pictures", {}, "no frame of the clip is there"),
        ("pictures", {"start": 1.0}, "give frames in place of seconds"),
        ("broken.mp4", {}, "not a video that can be read"),
    ],
)
def test_a_clip_that_cannot_be_read_names_its_sample_and_file(tmp_path, video, values, said):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    source = VideoClips([Sample("7", video, "mine", "object", question="?", **values)], tmp_path, 4)
    with pytest.raises(DataError, match=said) as error:
        source.read(0)
    assert str(error.value).startswith("mine '7': ")


def test_seconds_become_frames_of_the_videos_own_rate(rendered_takes):
    video = rendered_takes.video(0, "aria01_214-1")
    whole = VideoClips([Sample("0", str(video), "mine", "t", question="?")], None, 3).read(0).ego
    part = VideoClips([Sample("0", str(video), "mine", "t", question="?", start=0.4, end=1.0)], None, 3).read(0).ego
    by_number = VideoClips([Sample("0", str(video), "mine", "t", question="?", frames=(2, 5))], None, 3).read(0).ego
    np.testing.assert_array_equal(part, by_number)  # five frames a second
    assert not np.array_equal(part, whole)
    late = VideoClips([Sample("0", str(video), "mine", "t", question="?", start=99.0)], None, 3)
    with pytest.raises(DataError, match="no frame of the clip is there"):
        late.read(0)


def test_sentences_become_captions():
    said = "The camera wearer takes another person's cup and gives it to another person at 3 O'clock."
    assert caption_of("C takes O's cup and gives it to O at 3 O'clock.") == said


def test_tasks_of_ours_draw_an_instruction_where_a_record_has_none(tmp_path):
    records = [{"video": "a", "task": "action_recognition", "answer": "cut"} for _ in range(20)]
    drawn = read_questions(written(tmp_path, [*records, records[0] | {"instruction": "Mine."}]))
    assert Counter(sample.instruction for sample in drawn[:20]) == dict.fromkeys(INSTRUCTIONS["action_recognition"], 2)
    assert drawn[20].instruction == "Mine."
    assert read_questions(written(tmp_path, records), seed=1) != drawn[:20]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("questions", [{"video": "a", "question": "?"}]),
        ("something-something-v2", [SOMETHING]),
        ("egotimeqa", [TIMEQA]),
        ("egoschema", [EGOSCHEMA]),
        ("egotaskqa-direct", [EGOTASKQA]),
        ("egotaskqa-indirect", [EGOTASKQA]),
        ("qaego4d-open", [QAEGO4D]),
        ("qaego4d-closed", [QAEGO4D]),
        ("egomcq", EGOMCQ),
    ],
)
def test_a_file_is_read_by_the_name_of_its_data_set(tmp_path, kind, content):
    path = written(tmp_path, content)
    assert read_set(kind, path)
    path.write_text("[" if kind != "egomcq" else "{")
    with pytest.raises(DataError, match="breaks off"):
        read_set(kind, path)


def test_very_large_pictures_are_reduced_as_they_are_read(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (3840, 2160), (10, 200, 30)).save(tmp_path / "a" / "0.png")
    pictures = VideoClips([Sample("0", "a", "mine", "t", question="?")], tmp_path, 2).read(0).ego
    assert pictures.shape == (2, 576, 1024, 3)
    assert pictures.reshape(-1, 3).tolist()[0] == [10, 200, 30]


def test_joined_and_blank_clips_have_the_samples_of_their_sources(tmp_path):
    for name, colour in (("a", 10), ("b", 20)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (6, 4), (colour, 0, 0)).save(tmp_path / name / "0.png")
    one = VideoClips([Sample("0", "a", "mine", "t", question="?")], tmp_path, 2)
    two = VideoClips([Sample(n, "b", "mine", "t", question="?") for n in "12"], tmp_path, 2)
    joined = JoinedClips((one, two))
    assert [sample.id for sample in joined.samples] == ["0", "1", "2"] == [joined.read(n).sample.id for n in range(3)]
    assert [int(joined.read(n).ego[0, 0, 0, 0]) for n in range(3)] == [10, 20, 20]
    blank = BlankClips(joined)
    assert (len(blank), blank.read(2).sample.id) == (3, "2")
    assert np.unique(blank.read(2).ego.reshape(-1, 3), axis=0).tolist() == [[122, 116, 104]]


@pytest.mark.parametrize(("first", "past"), [(0, 3), (0, 1), (0, 2), (1, 3), (2, 3)])
def test_a_part_of_joined_and_blank_clips_is_that_of_their_sources(first, past):
    def of(*names):
        return VideoClips([Sample(name, "a", "mine", "t", question="?") for name in names], None, 2)

    for whole in (JoinedClips((of("0"), of("1", "2"))), BlankClips(of("0", "1", "2"))):
        part = whole.part(first, past)
        assert [sample.id for sample in part.samples] == ["0", "1", "2"][first:past]
        assert len(part) == past - first
