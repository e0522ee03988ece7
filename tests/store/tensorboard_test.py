"""Reads an event file that the C++ tests' writer made, with a reader of its own: framing, checksums, protocol buffer.

The file comes from `whet_tests`, run with one filter and a folder to write to (see event_file_dump_test.cpp).
"""
import math
import os
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

BINARY_DIR = Path(os.environ.get("WHET_BINARY_DIR", "build"))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def unmask(value):
    """Undoes TFRecord's mask."""
    rotated = (value - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def records(data):
    while data:
        (length,) = struct.unpack_from("<Q", data)
        (length_crc,) = struct.unpack_from("<I", data, 8)
        assert unmask(length_crc) == crc32c(data[:8]), "checksum of the length"
        payload = data[12:12 + length]
        assert len(payload) == length, "record is cut"
        (payload_crc,) = struct.unpack_from("<I", data, 12 + length)
        assert unmask(payload_crc) == crc32c(payload), "checksum of the event"
        yield payload
        data = data[16 + length:]


def fields(message):
    """(number, value) of each field: int for a varint, bytes for the rest."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 2: None, 5: 4}[kind]
            size = varint() if size is None else size
            value = message[at:at + size]
            at += size
        yield key >> 3, value


class EventFile(unittest.TestCase):
    def test_reads_back_what_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            before = time.time()
            subprocess.run([BINARY_DIR / "whet_tests", "--gtest_filter=EventFileDump.*"], check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, "WHET_EVENT_FILE_DUMP": folder})
            after = time.time()
            paths = [path for path in Path(folder, "run").iterdir() if "tfevents" in path.name]
            self.assertEqual(len(paths), 1)
            events = [dict(fields(record)) for record in records(paths[0].read_bytes())]
            self.assertEqual(events[0][3], b"brain.Event:2")
            scalars = {}
            for event in events[1:]:
                (wall_time,) = struct.unpack("<d", event[1])
                self.assertTrue(before - 1 <= wall_time <= after + 1)
                for number, value in fields(event[5]):
                    self.assertEqual(number, 1)
                    entry = dict(fields(value))
                    (simple_value,) = struct.unpack("<f", entry[2])
                    scalars.setdefault(entry[1].decode(), []).append((event[2], simple_value))
        # The values that event_file_dump_test.cpp writes; a text and a number that is not finite are no scalars.
        steps = [0, 1, 127, 128, 300, 2**31, 2**40]
        self.assertEqual(sorted(scalars), ["reward", "time/seconds"])
        self.assertEqual([step for step, _ in scalars["reward"]], steps)
        for step, value in scalars["reward"]:
            self.assertTrue(math.isclose(value, math.sin(step), abs_tol=1e-7), (step, value))
        self.assertEqual(scalars["time/seconds"], [(step, 0.25) for step in steps])


if __name__ == "__main__":
    unittest.main()
