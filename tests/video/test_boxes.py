"""MP4 files whose tables speak of more samples than they have bytes."""

from __future__ import annotations

import struct

import pytest

from lmeec.errors import DataError
from lmeec.video.boxes import check_samples
from lmeec.video.file import VideoReader
from lmeec.video.source import VideoSource
from tests.support.memory import peak_of_process
from tests.support.places import ASSETS
from tests.support.videos import write_video

DAMAGED = ASSETS / "hostile/fuzz/video.de385cab.mp4"  # av.open takes 3 GB for it


def test_an_index_of_millions_of_samples_in_a_file_of_kilobytes_takes_no_memory():
    assert peak_of_process(refuse_index, DAMAGED) < 50e6


def refuse_index(path):
    with pytest.raises(
        DataError, match=r"de385cab\.mp4: its index is damaged: table trun speaks of 83,886,080 samples"
    ):
        VideoReader(path)


@pytest.mark.parametrize(("table", "place"), [(b"stsz", 12), (b"stts", 12)])
def test_tables_of_whole_files(tmp_path, table, place):
    path = write_video(tmp_path / "video.mp4")
    check_samples(VideoSource(path))
    data = bytearray(path.read_bytes())
    at = data.index(table) + place
    data[at : at + 4] = struct.pack(">I", 2**31)
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"video\.mp4: its index is damaged: table {table.decode()} speaks of 2,147,4"):
        VideoReader(path)


@pytest.mark.parametrize("content", [b"", b"ftyp", b"\0\0\0\x08moov" * 3, b"\0\0\0\0moov" * 20, b"\x1aE\xdf\xa3" * 9])
def test_what_is_no_mp4_or_broken_passes(tmp_path, content):
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    check_samples(VideoSource(path))
