"""A video that FFmpeg has no decoder for costs its camera, at once and by name, and no other."""

from pathlib import Path

from lmeec.data.check import check_camera
from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from lmeec.runs.outcome import JobError
from tests.support.trees import annotated, put_video, take_annotations, write_relations
from tests.support.videos import write_video

EGO, EXO = "aria01_214-1", "cam01"


def test_a_video_of_an_unknown_codec_is_a_problem_of_its_camera_and_not_tried_again(tmp_path: Path) -> None:
    video = write_video(tmp_path / "any.mp4", 31)
    put_video(tmp_path, "cooking_01", EGO, video)
    broken = put_video(tmp_path, "cooking_01", EXO, video)
    broken.write_bytes(broken.read_bytes().replace(b"avc1", b"xxxx"))
    objects = {"mug": {EGO: annotated([0]), EXO: annotated([0])}}
    write_relations(tmp_path / "annotations/relations_val.json", {"uid": take_annotations("cooking_01", objects)})
    (take,) = find_takes(tmp_path)
    assert not check_camera(take, take.cameras[EGO]).problems
    (problem,) = check_camera(take, take.cameras[EXO]).problems
    assert f"{EXO}.mp4: its video is of a codec" in problem
    try:
        with take.cameras[EXO].open():
            raise AssertionError("opened")
    except DataError as error:
        judged = JobError.of(error)
    assert not judged.retry
    assert not judged.fresh_worker
