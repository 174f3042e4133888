"""CVAT's documents: what is written, what CVAT makes of it, and what comes back."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from lmeec.data.cvat.shapes import boxed, drawn, outlined, unboxed
from lmeec.data.relations import RelationsFile
from lmeec.errors import DataError, OutputError
from lmeec.export import export_cvat
from lmeec.importing import import_cvat
from lmeec.masks import RunLengthMask
from tests.support.command import lmeec
from tests.support.rows import missing_row, row, square, write_results


def blob(seed, height=270, width=480):
    """A mask of parts with holes and rough edges."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), bool)
    for _ in range(3):
        cy, cx, r = generator.integers(0, height), generator.integers(0, width), generator.integers(8, 60)
        mask |= (y - cy) ** 2 + ((x - cx) * 0.7) ** 2 < r**2
    mask &= ~((y - height // 2) ** 2 + (x - width // 2) ** 2 < 100)
    return RunLengthMask.encode(mask ^ (generator.random(mask.shape) < 0.001))


@pytest.fixture
def results(tmp_path):
    rows = [row(30 * k, target_frame=25 * k, mask=blob(k)) for k in range(3)]
    rows += [row(0, object='plate "<&ö', target_frame=0, mask=square(0, 0, side=1))]
    rows += [row(30, object='plate "<&ö', target_frame=25, mask=square(0, 0, side=0))]
    rows += [missing_row(90, target_frame=None)]
    return write_results(tmp_path / "results.parquet", rows)


def document(folder):
    (found,) = folder.rglob("*.xml")
    return found


def as_cvat_reads(path):
    """What CVAT's importer keeps: of a track of masks the first one, of others the key frames."""
    shapes, tracks = [], []
    for track in ET.parse(path).getroot().iter("track"):
        found = [shape for shape in track if shape.get("keyframe") == "1"]
        if found[0].tag == "mask":
            shapes.append((track.get("label"), found[0]))
        else:
            tracks.append((track.get("label"), found))
    return shapes, tracks


def pixels_of(shape, height=270, width=480):
    """A mask of CVAT, pixel after pixel."""
    mask = np.zeros((height, width), bool)
    left, top, columns = (int(shape.get(name)) for name in ("left", "top", "width"))
    place, value = 0, False
    for length in map(int, shape.get("rle").split(",")):
        for _ in range(length):
            mask[top + place // columns, left + place % columns] = value
            place += 1
        value = not value
    assert place == columns * int(shape.get("height"))
    return mask


def test_cvat_reads_every_mask_as_it_is(results, tmp_path):
    made = export_cvat([results], tmp_path / "cvat")
    frames = [int(shape.get("frame")) for shape in ET.parse(document(tmp_path / "cvat")).getroot().iter("mask")]
    assert max(frames) == 50
    assert (made.documents, made.masks, made.empty, made.missing) == (1, 4, 1, 1)
    shapes, tracks = as_cvat_reads(document(tmp_path / "cvat"))
    assert not tracks
    assert [(label, int(shape.get("frame"))) for label, shape in shapes] == [
        *(("cup_0", 25 * k) for k in range(3)),
        ('plate "<&ö', 0),
    ]
    for k in range(3):
        assert (pixels_of(shapes[k][1]) == blob(k).decode()).all()
    size = ET.parse(document(tmp_path / "cvat")).getroot().find("meta/task/original_size")
    assert [size.find(side).text for side in ("width", "height")] == ["480", "270"]
    (labels,) = (tmp_path / "cvat").rglob("*.labels.json")
    assert [label["name"] for label in json.loads(labels.read_text())] == ["cup_0", 'plate "<&ö']


def test_what_was_exported_comes_back_to_the_last_pixel(results, tmp_path):
    export_cvat([results], tmp_path / "cvat")
    done = import_cvat(tmp_path / "cvat", tmp_path / "back.json")
    assert (done.documents, done.masks, done.left_out) == (1, 4, {})
    tracks = RelationsFile(tmp_path / "back.json").tracks("take-1")
    cup = tracks["cup_0", "cam01"]
    assert cup.frames == (0, 30, 60), "frames of the take, not of the video"
    assert all((cup.mask(30 * k).decode() == blob(k).decode()).all() for k in range(3))
    plate = tracks['plate "<&ö', "cam01"]
    assert (plate.frames, plate.annotated_frames) == ((0,), (0, 30, 60))


def test_corrections_come_back(results, tmp_path):
    """A mask redrawn, one deleted, one added by an object of another name, and one more part of an object."""
    export_cvat([results], tmp_path / "cvat")
    path = document(tmp_path / "cvat")
    tree = ET.parse(path)
    root = tree.getroot()
    tracks = root.findall("track")
    mask = tracks[0].find("mask")
    for name, value in {"rle": "0, 6", "left": "7", "top": "5", "width": "3", "height": "2"}.items():
        mask.set(name, value)
    root.remove(tracks[1])
    # as CVAT writes a polygon that somebody drew, with the frames in between
    for label, points in (
        ("spoon", "1.00,1.00;1.00,5.00;5.00,5.00;5.00,1.00"),
        ("cup_0", "100,100;100,102;103,102;103,100"),
    ):
        track = ET.SubElement(root, "track", id="9", label=label, source="manual")
        for frame, keyframe, outside in ((0, 1, 0), (1, 0, 0), (2, 1, 1)):
            values = {"frame": frame, "keyframe": keyframe, "outside": outside, "occluded": 0, "z_order": 0}
            ET.SubElement(track, "polygon", {k: str(v) for k, v in values.items()}, points=points)
    box = ET.SubElement(
        ET.SubElement(root, "track", id="10", label="cup_0"), "box", frame="0", keyframe="1", outside="0"
    )
    box.set("xtl", "1")
    tree.write(path, encoding="utf-8", xml_declaration=True)
    done = import_cvat(path, tmp_path / "back.json")
    assert done.left_out == {"interpolated shape": 2, "box": 1}
    tracks = RelationsFile(tmp_path / "back.json").tracks("take-1")
    cup = tracks["cup_0", "cam01"]
    assert cup.frames == (0, 60)
    assert cup.annotated_frames == (0, 30, 60), "what was deleted is absent"
    expected = np.zeros((270, 480), bool)
    expected[5:7, 7:10] = expected[100:102, 100:103] = True
    assert (cup.mask(0).decode() == expected).all()
    assert tracks["spoon", "cam01"].mask(0).area == 16


def test_polygons_lose_little_and_say_how_much(results, tmp_path):
    made = export_cvat([results], tmp_path / "cvat", shapes="polygon")
    shapes, tracks = as_cvat_reads(document(tmp_path / "cvat"))
    assert not shapes
    assert {label for label, _ in tracks} == {"cup_0", 'plate "<&ö'}
    for _, found in tracks:  # nothing is interpolated between sparse frames
        numbers = [(int(shape.get("frame")), shape.get("outside")) for shape in found]
        assert all((number + 1, "1") in numbers for number, outside in numbers if outside == "0" and number < 50)
        assert max(numbers)[0] <= 50, "after the last exported frame the video may have none, which CVAT refuses"
    import_cvat(tmp_path / "cvat", tmp_path / "back.json")
    back = RelationsFile(tmp_path / "back.json").tracks("take-1")
    overlaps = []
    for k in range(3):
        one, other = back["cup_0", "cam01"].mask(30 * k).decode(), blob(k).decode()
        overlaps.append((one & other).sum() / (one | other).sum())
    overlaps.append(float(back['plate "<&ö', "cam01"].mask(0).area == 1))
    assert made.mean_iou == pytest.approx(np.mean(overlaps), abs=1e-6)
    assert made.least_iou == pytest.approx(min(overlaps), abs=1e-6)
    assert made.mean_iou > 0.95


@pytest.mark.parametrize("seed", range(6))
def test_polygons_without_tolerance_are_the_parts_of_the_mask(seed):
    mask = np.ascontiguousarray(blob(seed).decode(), np.uint8)
    filled = np.zeros_like(mask)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    count, parts = cv2.connectedComponents(filled, connectivity=8)
    large = [number for number in range(1, count) if (parts == number).sum() >= 16]
    again = drawn(outlined(RunLengthMask.encode(mask), 0), *mask.shape)
    assert (again[np.isin(parts, large)]).all()
    assert not again[filled == 0].any()


def test_masks_in_boxes_go_there_and_back():
    for mask in (blob(3), square(0, 0), square(250, 460), RunLengthMask.encode(np.ones((3, 5), bool))):
        again = unboxed(boxed(mask), mask.height, mask.width)
        assert (again == mask.decode()).all()


def test_the_whole_way_by_commands(rendered_takes, tiny, tmp_path):
    """Predict, correct, predict the other way from what was corrected."""
    table, take = tmp_path / "full.parquet", ("--take", rendered_takes.names[0])
    ran = lmeec("predict", rendered_takes.root, "-o", table, "--checkpoint", tiny, *take, "--mask-size", "source",
                "--direction", "ego2exo")  # fmt: skip
    assert ran.status == 0, ran.err
    done = lmeec("export", table, "--format", "cvat", "--out", tmp_path / "cvat")
    assert done.status == 0, done.err
    polygons = lmeec("export", table, "--format", "cvat", "--shapes", "polygon", "--out", tmp_path / "polygons")
    assert re.search(r"polygons differ from their masks: IoU 0\.\d+ on average", polygons.err)
    done = lmeec("import", tmp_path / "cvat", "--out", tmp_path / "corrected.json")
    assert done.status == 0, done.err
    assert f"next: lmeec predict TAKES --annotations {tmp_path / 'corrected.json'} --out results.parquet" in done.err
    back = ("--annotations", tmp_path / "corrected.json", "--direction", "exo2ego", "--checkpoint", tiny)
    done = lmeec("predict", rendered_takes.root, "-o", tmp_path / "back.parquet", *back)
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "r.parquet", "--format", "coco", "--shapes", "polygon", "--out", "x"), "--format cvat only"),
        (("import", "cvat.xml", "--annotations", "a.json", "--out", "x.json"), "goes with predictions only"),
        (("import", "cvat.xml", "--out", "x.parquet"), "name it .json"),
        (("import", "peers.json", "--out", "x.parquet"), "needed to import predictions"),
    ],
)
def test_options_that_do_not_go_together(arguments, words):
    done = lmeec(*arguments)
    assert done.status == 2
    assert words in " ".join(done.err.replace("│", " ").split())


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><annotations>&b;</annotations>'
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotations>&b;</annotations>'


def track(shape):
    return f'<annotations><track id="0" label="cup_0">{shape}</track></annotations>'


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        OUTSIDE,
        "",
        "<annotations>",
        "<html></html>",
        "<annotations><track><mask/></track></annotations>",
        '<annotations><image id="0" name="a"/></annotations>',
        "<annotations><meta><original_size><width>1</width><height>2</height></original_size></meta></annotations>",
        "<annotations><meta><original_size><width>a</width></original_size></meta></annotations>",
        track('<mask frame="0" rle="1" left="0" top="0" width="2" height="1"/>'),
        track('<mask frame="0" rle="-1, 3" left="0" top="0" width="2" height="1"/>'),
        track('<mask frame="0" rle="2" left="479" top="0" width="2" height="1"/>'),
        track('<mask frame="0" rle="2" left="-1" top="0" width="2" height="1"/>'),
        track('<mask frame="0" rle="9" left="0" top="0" width="999999999" height="999999999"/>'),
        track('<mask frame="0" rle="x" left="0" top="0" width="2" height="1"/>'),
        track('<mask frame="-1" rle="2" left="0" top="0" width="2" height="1"/>'),
        track('<mask frame="99999999999" rle="2" left="0" top="0" width="2" height="1"/>'),
        track('<mask frame="x"/>'),
        track('<polygon frame="0" points="1,2;3,4"/>'),
        track('<polygon frame="0" points="1,2;3,4;nan,5"/>'),
        track('<polygon frame="0" points="1,2;3,4;1e30,5"/>'),
        track('<polygon frame="0" points="1,2,3;3,4;1,5"/>'),
        track('<polygon frame="0" points=""/>'),
    ],
)
def test_hostile_documents_are_refused_by_name(text, results, tmp_path):
    export_cvat([results], tmp_path / "cvat")
    path = document(tmp_path / "cvat")
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        import_cvat(tmp_path / "cvat", tmp_path / "back.json")
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) <= 500
    assert not (tmp_path / "back.json").exists()


@pytest.mark.parametrize("name", ["../../x.xml", "/etc/passwd", "a/../b.xml", ""])
def test_no_document_outside_of_the_folder_is_read(name, results, tmp_path):
    export_cvat([results], tmp_path / "cvat")
    tasks = json.loads((tmp_path / "cvat/tasks.json").read_text())
    tasks["tasks"][0]["file"] = name
    (tmp_path / "cvat/tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(DataError, match=r"tasks\.json: names"):
        import_cvat(tmp_path / "cvat", tmp_path / "back.json")


def test_masks_of_one_camera_from_two_query_cameras_are_not_mixed(tmp_path):
    rows = [row(0, query_cam=query, target_frame=0) for query in ("aria01", "aria02")]
    export_cvat([write_results(tmp_path / "r.parquet", rows)], tmp_path / "cvat")
    with pytest.raises(DataError, match="from different query cameras"):
        import_cvat(tmp_path / "cvat", tmp_path / "back.json")
    one = next((tmp_path / "cvat").rglob("*.xml"))
    assert import_cvat(one, tmp_path / "back.json").masks == 1
    with pytest.raises(OutputError, match="exists"):
        import_cvat(one, tmp_path / "back.json")


def test_a_document_elsewhere_is_told_where_to_go(results, tmp_path):
    export_cvat([results], tmp_path / "cvat")
    moved = document(tmp_path / "cvat").rename(tmp_path / "moved.xml")
    with pytest.raises(DataError, match=r"no tasks\.json"):
        import_cvat(moved, tmp_path / "back.json")
